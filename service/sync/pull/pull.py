"""There to here: what changed on a server for linked patients, page by page, the watermark last."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import Failure, Found
from service.record_types import SYNCED
from service.sync.context import RunContext
from service.sync.identity import match_rows
from service.sync.identity.identifiers import chunked
from service.sync.identity.subjects import Subjects
from service.sync.policy import Method
from service.sync.pull import linked
from service.sync.pull.comparison import Comparison
from service.sync.pull.ingest import Ingest
from service.sync.pull.linked import Copy
from service.sync.pull.patient_search import PatientSearch
from service.sync.pull.watermarks import Watermarks, is_skewed
from service.sync.states import Reason

log = structlog.get_logger(__name__)

#: Changes of more patients are asked for all at once, where the server answers that.
FEW_PATIENTS = 25

#: What is about one search, and will be so next time: the others go on.
_OF_THE_SEARCH = {Reason.LOOKUP_REFUSED, Reason.PAGES_BROKEN}


class Pull:
    """One run over all that a connection tells us of our patients."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._subjects = Subjects(context.matcher())
        self._search = PatientSearch(context)
        self._marks = Watermarks(context.database, context.connection_id, context.clock)
        #: Server id -> our id.
        self._patients: Mapping[str, str] = {}
        #: Server ids of those not read as a whole yet, and of those whom a search was not answered of.
        self._fresh: list[str] = []
        self._unread: set[str] = set()
        #: Our ids of those of whom something could not be judged now.
        self._unsettled: set[str] = set()

    def run(self) -> None:
        """Read what is new, type by type; a patient that is new here is read as a whole."""
        self._match()
        marks = self._marks.read()
        with self._context.database.read() as session:
            self._patients = match_rows.matched_patients(session, self._context.connection_id)
            doubtful = match_rows.matched_patients(session, self._context.connection_id, is_stale=True)
        self._fresh = [one for one in self._patients if f"Patient/{one}" not in marks]
        # Nothing is read of those who could not be looked for anew; what they miss is read as a whole later.
        self._unsettled |= set(doubtful.values())
        try:
            complete = self._read_all(marks)
            read = [one for one in self._fresh if one not in self._unread]
            if complete and read:
                self._marks.move([f"Patient/{one}" for one in read], None)
        finally:
            everybody = {**doubtful, **self._patients}
            again = {there for there, here in everybody.items() if here in self._unsettled}
            self._marks.drop(f"Patient/{one}" for one in again | self._unread)

    def _read_all(self, marks: Mapping[str, str]) -> bool:
        """Read all types; tell whether new patients count as read."""
        complete = True
        for resource_type in SYNCED:
            if self._context.report.problem or not self._patients:
                return False
            if self._context.capabilities.of(resource_type).can_search:
                complete &= self._type(resource_type, marks.get(resource_type))
        return complete

    def _match(self) -> None:
        """Look for patients who are new, have other identifiers by now, or were not found long ago."""
        with self._context.database.read() as session:
            wanted = linked.unlinked(session, self._context.connection_id, self._context.clock())
        for chunk in chunked(wanted):
            found = self._context.matcher().patients(chunk)
            if not isinstance(found, dict):
                self._fail(found)
                return

    def _type(self, resource_type: str, since: str | None) -> bool:
        """Read one type, and move its watermark; tell whether new patients count as read."""
        able = self._context.capabilities.of(resource_type)
        before = frozenset(self._unread)
        tells_updates = able.tells_updates
        if since is None or not tells_updates:
            # Nothing says where to begin, so everybody is read as a whole.
            started, failure = self._snapshot(resource_type, list(self._patients))
        else:
            _, failure = self._snapshot(resource_type, self._fresh)
            is_history_known = False
            if failure is None:
                is_history_known, failure = self._history(resource_type, since)
            if failure is None:
                started, failure = self._changes(resource_type, since, is_history_known)
                if failure is not None and self._is_refused(failure):
                    # Offered and refused. The mark stays, in case the server takes it another time.
                    tells_updates = False
                    started, failure = self._snapshot(resource_type, list(self._patients))
        if failure is None:
            if tells_updates:
                self._marks.move([resource_type], started)
            return True
        is_lasting = self._is_of_the_search(failure)
        self._fail(failure)
        if is_lasting and self._fresh:
            # They do not wait for a search that nobody is answered; once it is, it begins with everybody.
            self._unread.intersection_update(before)
            self._marks.drop([resource_type])
        return is_lasting

    def _snapshot(
        self, resource_type: str, server_ids: Sequence[str]
    ) -> tuple[datetime | None, Failure | None]:
        """Read all that some patients have of a type, and ask after what is missing."""
        started: datetime | None = None
        first_failure: Failure | None = None
        self._search.unanswered.clear()
        for chunk in chunked(list(server_ids)):
            seen: set[str] = set()
            pages = self._search.pages(resource_type, chunk, {})
            moment, failure = self._read(resource_type, pages, seen, chunk)
            started = started or moment
            if failure is None:
                failure = self._ask_after_missing(resource_type, [self._patients[one] for one in chunk], seen)
            first_failure = first_failure or failure
            if failure is not None and not self._is_of_the_search(failure):
                break
        return started, self._of_all(first_failure)

    def _changes(
        self, resource_type: str, since: str, is_history_known: bool
    ) -> tuple[datetime | None, Failure | None]:
        """Read what changed since the watermark: of few patients by name, of many all at once."""
        more = {"_lastUpdated": f"ge{since}"}
        if len(self._patients) > FEW_PATIENTS:
            started, failure = self._read(
                resource_type, self._context.client.pages(resource_type, more), set()
            )
            # Many servers want the patients named.
            if failure is None or not self._is_refused(failure):
                return started, failure
        if not is_history_known:
            # Asked for by name, what left our patients is not shown.
            Comparison(self._context).changed_since(resource_type, since)
        self._search.unanswered.clear()
        pages = self._search.pages(resource_type, self._patients, more)
        started, failure = self._read(resource_type, pages, set(), self._patients)
        return started, self._of_all(failure)

    def _of_all(self, failure: Failure | None) -> Failure | None:
        """Return a failure that is not of some patients alone; they are read as a whole the next time."""
        unanswered = self._search.unanswered
        if failure is None or not self._is_of_the_search(failure) or len(unanswered) >= len(self._patients):
            return failure
        self._fail(failure)
        self._unread |= unanswered
        return None

    def _history(self, resource_type: str, since: str) -> tuple[bool, Failure | None]:
        """Look at what the history says was deleted since the watermark, or is no more our patients'.

        A search for them shows neither. Return whether the history was told, and what failed.
        """
        if not self._context.capabilities.of(resource_type).tells_deletions:
            return False, None
        history = self._context.client.history(resource_type, since)
        if not isinstance(history, Found):
            # Some servers offer a history and refuse it; what is deleted there shows when it is next written.
            return False, None if self._is_of_the_search(history) else history
        self._context.report.unreadable += history.unreadable
        deleted = [one.server_id for one in history.deleted if one.resource_type == resource_type]
        changed = {one["id"]: one for one in history.resources if one["resourceType"] == resource_type}
        with self._context.database.read() as session:
            missing = linked.copies_of(session, self._context.connection_id, resource_type, deleted)
            copies = linked.copies_of(session, self._context.connection_id, resource_type, list(changed))
        failure = self._ask_after(resource_type, missing)
        self._take([changed[server_id] for _, server_id in copies])
        return True, failure

    def _read(
        self,
        resource_type: str,
        pages: Iterable[Found | Failure],
        seen: set[str],
        patients: Collection[str] = (),
    ) -> tuple[datetime, Failure | None]:
        """Take in all pages of a search; return the server's time as it began, and what failed of it.

        patients: server ids of those who were searched for, if anybody was.
        """
        ingest = Ingest(self._context, self._subjects, self._patients, patients)
        began = self._context.clock()
        started: datetime | None = None
        failure: Failure | None = None
        for page in pages:
            if not isinstance(page, Found):
                failure = failure or page
                continue
            self._look_at_clock(page.server_time)
            started = started or page.server_time or began
            self._context.report.unreadable += page.unreadable
            resources = [one for one in page.resources if one["resourceType"] == resource_type]
            seen.update(one["id"] for one in resources)
            ingest.take(resources)
            self._unsettled |= ingest.unsettled
        return started or began, failure

    def _look_at_clock(self, server_time: datetime | None) -> None:
        report = self._context.report
        if (
            server_time
            and is_skewed(server_time, self._context.clock())
            and report.add_problem(Reason.CLOCK_SKEW)
        ):
            log.warning("the server's clock and ours are far apart", connection=self._context.name)

    def _ask_after_missing(
        self, resource_type: str, patient_ids: list[str], seen: set[str]
    ) -> Failure | None:
        """Read directly what a search for some patients did not show."""
        with self._context.database.read() as session:
            missing = linked.copies_not_in(
                session, self._context.connection_id, resource_type, patient_ids, seen
            )
        return self._ask_after(resource_type, missing)

    def _ask_after(self, resource_type: str, missing: list[Copy]) -> Failure | None:
        """Read copies that may be gone; return what keeps it from being told of all of them."""
        ingest = Ingest(self._context, self._subjects, self._patients, ())
        failure = ingest.ask_after(resource_type, missing)
        self._unsettled |= ingest.unsettled
        return failure

    def _take(self, resources: list[Tree]) -> None:
        """Take in copies as they are there by now, whoever's they are."""
        ingest = Ingest(self._context, self._subjects, self._patients, ())
        ingest.take(resources)
        self._unsettled |= ingest.unsettled

    def _fail(self, failure: Failure) -> None:
        """Note a failure: one of the connection ends the run, one of a search only that search."""
        following = self._context.next_step(Method.SEARCH, failure)
        reason = following.reason or Reason.LOOKUP_REFUSED
        if following.pause:
            self._context.report.problem = reason
        else:
            self._context.report.add_problem(reason)

    def _is_of_the_search(self, failure: Failure) -> bool:
        return self._context.next_step(Method.SEARCH, failure).reason in _OF_THE_SEARCH

    def _is_refused(self, failure: Failure) -> bool:
        """Tell whether a search was refused as such; another one may be answered."""
        return self._context.next_step(Method.SEARCH, failure).reason is Reason.LOOKUP_REFUSED
