"""Every copy there read by its id: what a search shows is not all, nor does it show what left its patient."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from sqlalchemy import or_, select

from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import Found
from service.record_types import SYNCED
from service.store import matches
from service.store.tables import Link
from service.sync import policy
from service.sync.context import RunContext
from service.sync.identity.identifiers import chunked
from service.sync.identity.match_rows import matched_patients
from service.sync.identity.subjects import Subjects
from service.sync.policy import Method
from service.sync.pull.ingest import Ingest
from service.sync.states import Reason

#: Copies read from the database at once.
PAGE = 500


class Comparison:
    """All copies of one connection, whoever's they are there by now."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        with context.database.read() as session:
            # Only our own copies are read: whose they are the link says, also while a match is in doubt.
            patients = matched_patients(session, context.connection_id)
            patients |= matched_patients(session, context.connection_id, is_stale=True)
        self._ingest = Ingest(context, Subjects(context.matcher()), patients, ())

    def run(self) -> None:
        """Take in what every copy has become."""
        self._all(SYNCED, self._compare)

    def changed_since(self, resource_type: str, since: str) -> None:
        """Take in what copies of one type have become since a moment: a search for patients misses some."""
        self._all((resource_type,), lambda _, copies: self._changed(resource_type, copies, since))

    def _all(self, resource_types: Iterable[str], look_at: Callable[[str, dict[str, str]], bool]) -> None:
        try:
            for resource_type in resource_types:
                for page in self._pages(resource_type):
                    for copies in chunked(page):
                        if self._context.stopping() or not look_at(resource_type, dict(copies)):
                            return
        finally:
            self._read_again()

    def _read_again(self) -> None:
        """Have the next pull read all of those of whom something could not be judged now."""
        if self._ingest.unsettled:
            with self._context.database.begin() as session:
                matches.read_again(session, self._ingest.unsettled, self._context.connection_id)

    def _compare(self, resource_type: str, copies: dict[str, str]) -> bool:
        """Read some copies, server id -> record id; False if the server does not answer."""
        shown = self._shown(resource_type, copies)
        self._ingest.take(shown or [])
        seen = {one["id"] for one in shown or []}
        missing = [(record_id, server_id) for server_id, record_id in copies.items() if server_id not in seen]
        stopped = self._ingest.ask_after(resource_type, missing)
        if stopped is not None:
            self._context.report.problem = policy.next_step(Method.READ, stopped).reason or Reason.REFUSED
        return stopped is None

    def _changed(self, resource_type: str, copies: dict[str, str], since: str) -> bool:
        shown = self._shown(resource_type, copies, {"_lastUpdated": f"ge{since}"})
        # What cannot be asked so is found by `push --all`, or when it is next written.
        self._ingest.take(shown or [])
        return shown is not None

    def _shown(
        self, resource_type: str, copies: dict[str, str], more: Mapping[str, str] | None = None
    ) -> list[Tree] | None:
        found = self._context.client.search_any(resource_type, "_id", list(copies), more)
        if not isinstance(found, Found):
            return None
        self._context.report.unreadable += found.unreadable
        return [one for one in found.resources if one["resourceType"] == resource_type]

    def _pages(self, resource_type: str) -> Iterator[list[tuple[str, str]]]:
        after = ""
        while True:
            with self._context.database.read() as session:
                rows = session.execute(
                    select(Link.server_id, Link.record_id)
                    .where(
                        Link.connection_id == self._context.connection_id,
                        Link.resource_type == resource_type,
                        Link.server_id > after,
                        or_(Link.reason.is_(None), Link.reason != Reason.GONE_THERE),
                    )
                    .order_by(Link.server_id)
                    .limit(PAGE)
                ).all()
            if not rows:
                return
            page = [(str(server_id), record_id) for server_id, record_id in rows]
            yield page
            after = page[-1][0]
