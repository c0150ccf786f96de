"""Whom a server's resources are about, judged after both patients are verified: a merge is one event."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name
from service.fhir_client.outcomes import Failure
from service.store.statements import chunks
from service.store.tables import PatientIdentifier, PatientLink, Version
from service.sync.identity import match_rows
from service.sync.identity.identifiers import SameSystems, canonical
from service.sync.identity.matching import Match, Matcher
from service.sync.identity.subject_policy import (
    About,
    Moved,
    Owner,
    People,
    SubjectJudgement,
    judge,
    subject_there,
)


class Later(StrEnum):
    """Not to be judged now: one of the two patients could not be verified, or is in dispute."""

    NOT_VERIFIED = "not-verified"


@dataclass(frozen=True)
class Copy:
    """A resource as it came.

    owner: the patient of the record, record_id, whose copy it is. last_seen: the one before.
    """

    body: Tree
    _: KW_ONLY
    owner: str | None = None
    record_id: str | None = None
    last_seen: Tree | None = None


class Subjects:
    """Judges the subjects of one connection's resources."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    def judge(
        self, copies: Mapping[str, Copy], asked: Collection[str] = ()
    ) -> dict[str, SubjectJudgement | Later]:
        """Say of each resource, by a key of the caller's, whom it is about. asked: as in subject_policy."""
        judgements = self._judge(copies, asked)
        moved = {key: one for key, one in judgements.items() if isinstance(one, Moved)}
        if not moved:
            return judgements
        patients = {copies[key].owner for key in moved} | {one.here for one in moved.values()}
        matches = self._matcher.patients([one for one in patients if one is not None], at_once=True)
        again = self._judge({key: copies[key] for key in moved}, asked)
        for key, judgement in again.items():
            parties = [copies[key].owner, judgement.here if isinstance(judgement, Moved) else None]
            settled = all(_is_settled(matches, party) for party in parties if party is not None)
            judgements[key] = judgement if settled else Later.NOT_VERIFIED
        return judgements

    def _judge(
        self, copies: Mapping[str, Copy], asked: Collection[str]
    ) -> dict[str, SubjectJudgement | Later]:
        base_url = self._matcher.base_url
        with self._matcher.database.read() as session:
            people = _people(
                session,
                self._matcher.connection_id,
                base_url,
                copies.values(),
                self._matcher.rules.same_systems,
            )
            judgements = {
                key: judge(copy.body, base_url, people, _owner(copy, base_url), asked)
                for key, copy in copies.items()
            }
            left = _left_behind(session, self._matcher.connection_id, base_url, copies, judgements)
        return {
            **judgements,
            **{
                key: Later.NOT_VERIFIED if there is None else Moved(there, people.there.get(there))
                for key, there in left.items()
            },
        }


def _left_behind(
    session: Session,
    connection_id: str,
    base_url: str,
    copies: Mapping[str, Copy],
    judgements: Mapping[str, SubjectJudgement],
) -> dict[str, str | None]:
    """Return the copies, with the Patient whose each is, that stayed when their patient's match changed.

    What was written there is that Patient's, whoever ours is taken for by now; what was written
    here follows its patient. None: nobody knows who ours is there.
    """
    subjects = {
        key: (copy, subject_there(copy.body, base_url).server_id)
        for key, copy in copies.items()
        if copy.record_id is not None and isinstance(judgements[key], About)
    }
    theirs = match_rows.ids_there(
        session, connection_id, {str(copy.owner) for copy, _ in subjects.values() if copy.owner}
    )
    elsewhere = {
        key: (str(copy.record_id), there)
        for key, (copy, there) in subjects.items()
        if there is not None and there not in theirs.get(str(copy.owner), set())
    }
    pulled = _pulled(session, {record_id for record_id, _ in elsewhere.values()})
    return {
        key: there if str(copies[key].owner) in theirs else None
        for key, (record_id, there) in elsewhere.items()
        if record_id in pulled
    }


def _pulled(session: Session, record_ids: Collection[str]) -> set[str]:
    """Return which records came to be by reading a server."""
    pulled: set[str] = set()
    for chunk in chunks(sorted(record_ids)):
        first = (Version.version == 1, Version.action == "pull", Version.record_id.in_(chunk))
        pulled.update(session.scalars(select(Version.record_id).where(*first)))
    return pulled


def _is_settled(matches: dict[str, Match] | Failure, patient_id: str) -> bool:
    # Somebody may have been matched to the Patient only since: they are looked at next time.
    match = matches.get(patient_id) if isinstance(matches, dict) else None
    return match is not None and match.server_id is not None


def _owner(copy: Copy, base_url: str) -> Owner | None:
    if copy.owner is None:
        return None
    before = subject_there(copy.last_seen, base_url) if copy.last_seen else subject_there({}, base_url)
    return Owner(copy.owner, before)


def _people(
    session: Session, connection_id: str, base_url: str, copies: Iterable[Copy], same_systems: SameSystems
) -> People:
    subjects = [subject_there(copy.body, base_url) for copy in copies]
    ids = {one for subject in subjects for one in (subject.server_id, subject.elsewhere) if one}
    names = {subject.name for subject in subjects if subject.name}
    return People(_there(session, connection_id, ids), _names(session, names, same_systems))


def _there(session: Session, connection_id: str, server_ids: Collection[str]) -> dict[str, str]:
    """Return whose match each Patient is; one who was merged there into a match counts as that one."""
    matched = (PatientLink.connection_id == connection_id) & (PatientLink.state == match_rows.MATCHED)
    there: dict[str, str] = {}
    merged = session.scalars(select(PatientLink).where(matched, PatientLink.earlier.is_not(None)))
    for row in merged:
        there.update(dict.fromkeys(match_rows.earlier_ids(row), row.patient_id))
    for chunk in chunks(sorted(server_ids)):
        rows = session.execute(
            select(PatientLink.server_id, PatientLink.patient_id).where(
                matched, PatientLink.server_id.in_(chunk)
            )
        )
        there.update({str(row.server_id): row.patient_id for row in rows})
    return there


def _names(session: Session, names: Collection[Name], same_systems: SameSystems) -> dict[Name, str]:
    """Return whose each identifier is here, in whatever form the server shows it."""
    wanted: dict[Name, list[Name]] = {}
    for name in names:
        wanted.setdefault(canonical(name, same_systems), []).append(name)
    table = PatientIdentifier
    owners: dict[Name, str] = {}
    for chunk in chunks(sorted({name[1].strip() for name in names})):
        for row in session.scalars(select(table).where(table.value.in_(chunk))):
            for name in wanted.get(canonical((row.system, row.value), same_systems), ()):
                owners[name] = row.patient_id
    return owners
