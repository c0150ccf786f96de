"""Every copy there read by its id: what a search shows is not all, nor does it show what left its patient."""

from collections.abc import Iterator

from sqlalchemy import or_, select

from service.fhir_answers import Found
from service.store import matches
from service.store.tables import Link
from service.sync import plan
from service.sync.arriving import Arrivals
from service.sync.desk import TYPES, Desk
from service.sync.identifiers import chunked
from service.sync.match_rows import matched_patients
from service.sync.plan import Method
from service.sync.reasons import Reason
from service.sync.subjects import Subjects

#: Copies read from the database at once.
PAGE = 500


class Comparison:
    """One run over all copies of one connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def run(self) -> None:
        """Take in what every copy has become."""
        with self._desk.database.read() as session:
            patients = matched_patients(session, self._desk.connection_id)
        arrivals = Arrivals(self._desk, Subjects(self._desk.matcher()), patients, ())
        try:
            self._compare_all(arrivals)
        finally:
            self._read_again(arrivals.unsettled)

    def _compare_all(self, arrivals: Arrivals) -> None:
        for resource_type in TYPES:
            for page in self._pages(resource_type):
                for copies in chunked(page):
                    if self._desk.stopping() or not self._compare(resource_type, dict(copies), arrivals):
                        return

    def _read_again(self, patient_ids: set[str]) -> None:
        """Have the next pull read all of those of whom something could not be judged now."""
        if patient_ids:
            with self._desk.database.begin() as session:
                matches.read_again(session, patient_ids, self._desk.connection_id)

    def _compare(self, resource_type: str, copies: dict[str, str], arrivals: Arrivals) -> bool:
        """Read some copies, server id -> record id; False if the server does not answer."""
        found = self._desk.client.search(resource_type, {"_id": ",".join(copies), "_count": "200"})
        shown = []
        if isinstance(found, Found):
            shown = [one for one in found.resources if one["resourceType"] == resource_type]
        arrivals.take(shown)
        seen = {one["id"] for one in shown}
        missing = [(record_id, server_id) for server_id, record_id in copies.items() if server_id not in seen]
        stopped = arrivals.ask_after(resource_type, missing)
        if stopped is not None:
            self._desk.report.problem = plan.next_step(Method.READ, stopped).reason or Reason.REFUSED
        return stopped is None

    def _pages(self, resource_type: str) -> Iterator[list[tuple[str, str]]]:
        after = ""
        while True:
            with self._desk.database.read() as session:
                rows = session.execute(
                    select(Link.server_id, Link.record_id)
                    .where(
                        Link.connection_id == self._desk.connection_id,
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
