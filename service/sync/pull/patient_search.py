"""What a server has of many patients: asked for several at once, if it answers for each of them."""

from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import func, select

from service.fhir_client.outcomes import Cause, Failure, Found, Unknown
from service.store.tables import Link, PatientLink, Record
from service.sync.context import RunContext
from service.sync.identity.match_rows import MATCHED
from service.sync.identity.subject_policy import subject_there
from service.sync.policy import Method
from service.sync.states import Reason, State

#: So few are asked alone rather than first finding out whether they have to be.
FEW = 2


class PatientSearch:
    """Searches by patient. Several in one search are an "or", which some servers do not know.

    They answer for the first, or for nobody, and nothing in the answer says so. So a list counts
    for those of whom it showed something, and for all once a list has shown two, in this run.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._lists_count = False
        self._was_tried = False
        #: Server ids of those who were asked for and not answered of, since somebody cleared it.
        self.unanswered: set[str] = set()

    def pages(
        self, resource_type: str, server_ids: Collection[str], more: Mapping[str, str]
    ) -> Iterator[Found | Failure]:
        """Yield what there is of patients, page by page, and each failure to tell.

        more: what else the search asks for.
        """
        lists: dict[tuple[str, ...], set[str]] = {}
        references = [f"Patient/{server_id}" for server_id in server_ids]
        for values, page in self._context.client.pages_of_any(resource_type, "patient", references, more):
            yield page
            if isinstance(page, Found):
                lists.setdefault(values, set()).update(self._patients_in(page))
            elif not self._goes_on(page, values):
                return
        self._lists_count |= any(len(shown.intersection(values)) > 1 for values, shown in lists.items())
        unseen = [
            one for values, shown in lists.items() if len(values) > 1 for one in values if one not in shown
        ]
        if unseen and not self._do_lists_count(len(unseen)):
            yield from self._alone(resource_type, unseen, more)

    def _alone(
        self, resource_type: str, references: list[str], more: Mapping[str, str]
    ) -> Iterator[Found | Failure]:
        for reference in references:
            for page in self._context.client.pages(resource_type, {**more, "patient": reference}):
                yield page
                if not isinstance(page, Found) and not self._goes_on(page, [reference]):
                    return

    def _goes_on(self, failure: Failure, references: Collection[str]) -> bool:
        """Note who was not answered of; tell whether others may be: what failed is this search alone."""
        self.unanswered.update(reference.removeprefix("Patient/") for reference in references)
        is_broken = isinstance(failure, Unknown) and failure.cause is Cause.FOREIGN_LINK
        return is_broken or self._context.next_step(Method.SEARCH, failure).reason is Reason.LOOKUP_REFUSED

    def _do_lists_count(self, unseen: int) -> bool:
        """Tell whether a list answers for all in it; where many have nothing new, that is tried out once."""
        if not self._lists_count and not self._was_tried and unseen > FEW:
            self._was_tried = True
            self._try()
        return self._lists_count

    def _try(self) -> None:
        """Ask in one list for two patients of whom the server is known to have something."""
        known = self._two_who_are_known()
        if known is None:
            return
        resource_type, two = known
        shown: set[str] = set()
        for values, page in self._context.client.pages_of_any(resource_type, "patient", two):
            if not isinstance(page, Found) or len(values) < len(two):
                return
            shown |= self._patients_in(page)
            if shown.issuperset(two):
                self._lists_count = True
                return

    def _two_who_are_known(self) -> tuple[str, list[str]] | None:
        first, last = func.min(PatientLink.server_id), func.max(PatientLink.server_id)
        with self._context.database.read() as session:
            row = session.execute(
                select(Link.resource_type, first, last)
                .join(Record, Record.id == Link.record_id)
                .join(
                    PatientLink,
                    (PatientLink.patient_id == Record.patient_id)
                    & (PatientLink.connection_id == Link.connection_id),
                )
                .where(
                    Link.connection_id == self._context.connection_id,
                    Link.state == State.SYNCED,
                    PatientLink.state == MATCHED,
                )
                .group_by(Link.resource_type)
                .having(first < last)
                .order_by(Link.resource_type)
                .limit(1)
            ).first()
        return (row[0], [f"Patient/{row[1]}", f"Patient/{row[2]}"]) if row else None

    def _patients_in(self, page: Found) -> set[str]:
        subjects = (subject_there(one, self._context.base_url).server_id for one in page.resources)
        return {f"Patient/{server_id}" for server_id in subjects if server_id}
