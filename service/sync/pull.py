"""There to here: what changed on a server for linked patients, page by page, the watermark last."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from service.fhir_answers import Failure, Found, Refused
from service.store.tables import Link, Patient, PatientLink, Record, Watermark
from service.sync import links, match_rows, plan
from service.sync.arriving import Arrivals
from service.sync.comparison import Comparison
from service.sync.desk import TYPES, Desk
from service.sync.identifiers import chunked
from service.sync.match import RECHECK
from service.sync.plan import Method
from service.sync.reasons import Reason
from service.sync.subjects import Subjects

#: A large transaction can show up this long after it was dated (and clocks of a cluster differ).
OVERLAP = timedelta(minutes=2)

PAGE = "200"


class Pull:
    """One run over all that a connection tells us of our patients."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._subjects = Subjects(desk.matcher())
        self._unsettled: set[str] = set()

    def run(self) -> None:
        """Read what is new; a patient that is new here is read as a whole first."""
        self._match()
        with self._desk.database.read() as session:
            patients = match_rows.matched_patients(session, self._desk.connection_id)
            marks = _watermarks(session, self._desk.connection_id)
        fresh = [server_id for server_id in patients if f"Patient/{server_id}" not in marks]
        try:
            self._read_all(patients, marks, fresh)
        finally:
            self._read_again(patients)

    def _read_all(self, patients: Mapping[str, str], marks: Mapping[str, str], fresh: list[str]) -> None:
        for some in chunked(fresh):
            self._whole(some, patients, [f"Patient/{server_id}" for server_id in some])
        for resource_type in TYPES:
            if self._desk.report.problem or not patients:
                return
            abilities = self._desk.capabilities.of(resource_type)
            if abilities.can_search and abilities.tells_updates:
                self._deletions(resource_type, patients, marks.get(resource_type))
                self._changes(resource_type, patients, marks.get(resource_type))
            elif abilities.can_search:
                for some in chunked([one for one in patients if one not in fresh]):
                    self._snapshot(resource_type, some, patients)

    def _match(self) -> None:
        """Look for patients that were not looked for yet, or long ago without success."""
        with self._desk.database.read() as session:
            wanted = _unlinked(session, self._desk.connection_id, self._desk.clock() - RECHECK)
        for some in chunked(wanted):
            found = self._desk.matcher().patients(some)
            if not isinstance(found, dict):
                self._fail(found)
                return

    def _whole(self, some: list[str], patients: Mapping[str, str], scopes: list[str]) -> None:
        started = None
        for resource_type in TYPES:
            if self._desk.capabilities.of(resource_type).can_search:
                told = self._snapshot(resource_type, some, patients)
                started = started or told
        if not self._desk.report.problem:
            self._mark(scopes, started)

    def _snapshot(self, resource_type: str, some: list[str], patients: Mapping[str, str]) -> datetime | None:
        """Read all that some patients have of a type, and ask after what is missing."""
        seen: set[str] = set()
        told = self._read(resource_type, {"patient": ",".join(some)}, patients, seen, some)
        if not isinstance(told, datetime):
            self._fail(told)
            return None
        self._ask_after_missing(resource_type, patients, some, seen)
        return told

    def _changes(self, resource_type: str, patients: Mapping[str, str], since: str | None) -> None:
        """Read what changed since the watermark: of few patients by name, of many all at once."""
        params = {} if since is None else {"_lastUpdated": f"ge{since}"}
        few = list(chunked(list(patients)))
        if len(few) > 1:
            refused = self._read(resource_type, params, patients, set())
            if isinstance(refused, datetime):
                self._mark([resource_type], refused)
                return
            if not _wants_patient(refused):
                self._fail(refused)
                return
        started: datetime | None = None
        for some in few:
            told = self._read(resource_type, {**params, "patient": ",".join(some)}, patients, set(), some)
            if not isinstance(told, datetime):
                self._fail(told)
                return
            started = started or told
        self._mark([resource_type], started)

    def _deletions(self, resource_type: str, patients: Mapping[str, str], since: str | None) -> None:
        """Look at what the history says was deleted since the watermark, or is no more our patients'.

        A search for them shows neither.
        """
        if since is None:
            return
        if not self._desk.capabilities.of(resource_type).tells_deletions:
            Comparison(self._desk).changed_since(resource_type, since)
            return
        told = self._desk.client.deletions(resource_type, since)
        if not isinstance(told, Found):
            # Some servers offer a history and refuse it; what is deleted there shows when it is next written.
            return
        ids = [one.server_id for one in told.deleted if one.resource_type == resource_type]
        with self._desk.database.read() as session:
            linked = _links_of(session, self._desk.connection_id, resource_type, ids)
        self._ask_after(resource_type, patients, linked)
        changed = {one["id"]: one for one in told.resources if one["resourceType"] == resource_type}
        with self._desk.database.read() as session:
            held = _links_of(session, self._desk.connection_id, resource_type, list(changed))
        arrivals = Arrivals(self._desk, self._subjects, patients, ())
        arrivals.take([changed[server_id] for _, server_id in held])
        self._unsettled |= arrivals.unsettled

    def _read(
        self,
        resource_type: str,
        params: Mapping[str, str],
        patients: Mapping[str, str],
        seen: set[str],
        asked: Collection[str] = (),
    ) -> datetime | Failure:
        """Take in all pages of a search; return the server's time as it began."""
        arrivals = Arrivals(self._desk, self._subjects, patients, asked)
        started: datetime | None = None
        for page in self._desk.client.pages(resource_type, {**params, "_count": PAGE}):
            if not isinstance(page, Found):
                return page
            started = started or page.server_time or self._desk.clock()
            resources = [one for one in page.resources if one["resourceType"] == resource_type]
            seen.update(one["id"] for one in resources)
            arrivals.take(resources)
            self._unsettled |= arrivals.unsettled
        return started or self._desk.clock()

    def _mark(self, scopes: Iterable[str], started: datetime | None) -> None:
        """Move watermarks, after what they stand for is kept."""
        since = ((started or self._desk.clock()) - OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._desk.database.begin() as session:
            for scope in scopes:
                mark = session.get(Watermark, (self._desk.connection_id, scope))
                if mark is None:
                    session.add(Watermark(connection_id=self._desk.connection_id, scope=scope, since=since))
                elif mark.since < since:
                    mark.since = since

    def _ask_after_missing(
        self, resource_type: str, patients: Mapping[str, str], some: list[str], seen: set[str]
    ) -> None:
        """Read directly what a search for some patients did not show."""
        with self._desk.database.read() as session:
            missing = _links_not_in(
                session, self._desk.connection_id, resource_type, [patients[one] for one in some], seen
            )
        self._ask_after(resource_type, patients, missing)

    def _ask_after(
        self, resource_type: str, patients: Mapping[str, str], missing: list[tuple[str, str]]
    ) -> None:
        arrivals = Arrivals(self._desk, self._subjects, patients, ())
        stopped = arrivals.ask_after(resource_type, missing)
        self._unsettled |= arrivals.unsettled
        if stopped is not None:
            self._fail(stopped)

    def _read_again(self, patients: Mapping[str, str]) -> None:
        """Have all of those read as a whole next time of whom something could not be judged now."""
        scopes = [f"Patient/{there}" for there, here in patients.items() if here in self._unsettled]
        if scopes:
            with self._desk.database.begin() as session:
                session.execute(
                    delete(Watermark).where(
                        Watermark.connection_id == self._desk.connection_id, Watermark.scope.in_(scopes)
                    )
                )

    def _fail(self, failure: Failure) -> None:
        following = plan.next_step(Method.SEARCH, failure)
        self._desk.report.problem = following.reason or Reason.REFUSED


def _wants_patient(refusal: Failure) -> bool:
    """Tell whether a search over all patients was refused as such; many servers want them named."""
    return isinstance(refusal, Refused) and refusal.status in (400, 403, 404, 422)


def _unlinked(session: Session, connection_id: str, checked_before: datetime) -> list[str]:
    """Return the patients that have to be looked for (again)."""
    link = PatientLink
    return list(
        session.scalars(
            select(Patient.id)
            .outerjoin(link, (link.patient_id == Patient.id) & (link.connection_id == connection_id))
            .where(
                Patient.merged_into.is_(None),
                or_(
                    link.patient_id.is_(None),
                    (link.state != match_rows.MATCHED) & (link.checked_at <= checked_before),
                ),
            )
        )
    )


def _watermarks(session: Session, connection_id: str) -> dict[str, str]:
    rows = session.scalars(select(Watermark).where(Watermark.connection_id == connection_id))
    return {row.scope: row.since for row in rows}


def _links_of(
    session: Session, connection_id: str, resource_type: str, server_ids: list[str]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for some in links.chunks(server_ids):
        rows = session.execute(
            select(Link.record_id, Link.server_id).where(
                Link.connection_id == connection_id,
                Link.resource_type == resource_type,
                Link.server_id.in_(some),
                or_(Link.reason.is_(None), Link.reason != Reason.GONE_THERE),
            )
        )
        found += [(row.record_id, row.server_id) for row in rows if row.server_id]
    return found


def _links_not_in(
    session: Session, connection_id: str, resource_type: str, patient_ids: list[str], seen: set[str]
) -> list[tuple[str, str]]:
    rows = session.execute(
        select(Link.record_id, Link.server_id)
        .join(Record, Record.id == Link.record_id)
        .where(
            Link.connection_id == connection_id,
            Link.resource_type == resource_type,
            Link.server_id.is_not(None),
            or_(Link.reason.is_(None), Link.reason != Reason.GONE_THERE),
            Record.patient_id.in_(patient_ids),
        )
    )
    return [(row.record_id, row.server_id) for row in rows if row.server_id and row.server_id not in seen]
