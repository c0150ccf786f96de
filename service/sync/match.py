"""Who is who there: patients, practitioners, conditions; found by identifier, never created or guessed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fhir_mappings.exact_json import Tree
from service.fhir_answers import Failure, Found
from service.fhir_client import FHIRClient
from service.store.database import Database
from service.store.tables import PatientIdentifier, PatientLink, ReferenceLink
from service.sync.project import Logical
from service.sync.reasons import Reason

#: How many identifiers one search asks for; a URL has its limits.
CHUNK = 25
#: How long an unmatched patient is left before a pull looks again; a push looks whenever it is due.
RECHECK = timedelta(minutes=5)

#: What is to be found there by identifier before a record that names it so is sent.
FOUND_BY_IDENTIFIER = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Condition"})

#: A system and a value.
Name = tuple[str, str]


@dataclass(frozen=True)
class Match:
    """One server id, or the reason why there is none."""

    server_id: str | None = None
    reason: Reason | None = None


class Matcher:
    """Links people of ours to those of one connection."""

    def __init__(
        self, database: Database, connection_id: str, client: FHIRClient, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._connection_id = connection_id
        self._client = client
        self._clock = clock

    def patients(self, patient_ids: Collection[str]) -> dict[str, Match] | Failure:
        """Return the match of each patient, looking again for those that had none."""
        with self._database.read() as session:
            known = patient_links(session, self._connection_id, patient_ids)
            missing = [one for one in patient_ids if known.get(one, Match()).server_id is None]
            names = _names_of(session, missing)
        found = self._found("Patient", [name for one in missing for name in names.get(one, ())])
        if not isinstance(found, dict):
            return found
        fresh = {
            one: _only([found.get(name, ()) for name in names.get(one, ())], _PATIENT_REASONS)
            for one in missing
        }
        return known | self._keep_patients(fresh) if fresh else known

    def references(self, names: Collection[Logical]) -> dict[Logical, Match] | Failure:
        """Return the match of each thing named by identifier, looking again for those that had none."""
        with self._database.read() as session:
            known = _reference_links(session, self._connection_id, names)
        missing = [one for one in names if known.get(one, Match()).server_id is None]
        matches: dict[Logical, Match] = {}
        for resource_type in sorted({one[0] for one in missing}):
            mine = [one for one in missing if one[0] == resource_type]
            found = self._found(resource_type, [(one[1], one[2]) for one in mine])
            if not isinstance(found, dict):
                return found
            for one in mine:
                matches[one] = _only([found.get((one[1], one[2]), ())], _REFERENCE_REASONS)
        self._keep_references(matches)
        return known | matches

    def _found(self, resource_type: str, names: list[Name]) -> dict[Name, set[str]] | Failure:
        """Search for identifiers; return the ids of all that carry each."""
        found: dict[Name, set[str]] = {}
        for chunk in chunked(names):
            result = self._client.search(resource_type, {"identifier": any_of(chunk), "_count": "200"})
            if not isinstance(result, Found):
                return result
            for resource in result.resources:
                for name in names_in(resource):
                    found.setdefault(name, set()).add(resource["id"])
        return found

    def _keep_patients(self, fresh: dict[str, Match]) -> dict[str, Match]:
        now = self._clock()
        with self._database.begin() as session:
            holders: dict[str | None, str] = {}
            wanted = [match.server_id for match in fresh.values() if match.server_id]
            for row in session.execute(
                select(PatientLink.server_id, PatientLink.patient_id).where(
                    PatientLink.connection_id == self._connection_id, PatientLink.server_id.in_(wanted)
                )
            ):
                holders[row.server_id] = row.patient_id
            settled: dict[str, Match] = {}
            for patient_id, match in fresh.items():
                if match.server_id and holders.setdefault(match.server_id, patient_id) != patient_id:
                    match = Match(reason=Reason.IDENTIFIER_TAKEN)
                settled[patient_id] = match
            rows = [{"patient_id": one, **_columns(match, now)} for one, match in settled.items()]
            self._upsert(session, PatientLink, ["patient_id", "connection_id"], rows)
        return settled

    def _upsert(
        self,
        session: Session,
        table: type[PatientLink] | type[ReferenceLink],
        key: list[str],
        rows: list[dict[str, Any]],
    ) -> None:
        # Another worker may be looking for the same ones at this moment.
        dialect_insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        statement = dialect_insert(table)
        changed = {name: statement.excluded[name] for name in ("server_id", "state", "reason", "checked_at")}
        session.execute(
            statement.on_conflict_do_update(index_elements=key, set_=changed),
            [{**row, "connection_id": self._connection_id} for row in rows],
        )

    def _keep_references(self, matches: dict[Logical, Match]) -> None:
        if not matches:
            return
        now = self._clock()
        key = ["connection_id", "resource_type", "system", "value"]
        rows = [
            {"resource_type": one[0], "system": one[1], "value": one[2], **_columns(match, now)}
            for one, match in matches.items()
        ]
        with self._database.begin() as session:
            self._upsert(session, ReferenceLink, key, rows)


def token(system: str, value: str) -> str:
    """Return an identifier as a search token (https://hl7.org/fhir/R4/search.html#escaping)."""
    escaped = [part.replace("\\", "\\\\").replace("$", "\\$").replace(",", "\\,") for part in (system, value)]
    return "|".join(part.replace("|", "\\|") for part in escaped)


def any_of(names: Iterable[Name]) -> str:
    """Return the search for any of some identifiers."""
    return ",".join(token(*name) for name in names)


def chunked(items: list[Any]) -> Iterable[list[Any]]:
    """Cut a list into what one search can ask for."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def if_none_exist(name: Name) -> str:
    """Return the condition under which a create may create."""
    return f"identifier={quote(token(*name), safe='')}"


def names_in(resource: Tree) -> list[Name]:
    """Return the business identifiers of a resource; some types have one, most a list."""
    identifiers: Any = resource.get("identifier")
    return [
        (one.get("system") or "", one["value"])
        for one in (identifiers if isinstance(identifiers, list) else [identifiers])
        if isinstance(one, dict) and isinstance(one.get("value"), str)
    ]


def patient_links(session: Session, connection_id: str, patient_ids: Collection[str]) -> dict[str, Match]:
    """Return what is known of patients' matches."""
    rows = session.execute(
        select(PatientLink.patient_id, PatientLink.server_id, PatientLink.reason).where(
            PatientLink.connection_id == connection_id, PatientLink.patient_id.in_(patient_ids)
        )
    )
    return {row.patient_id: Match(row.server_id, Reason(row.reason) if row.reason else None) for row in rows}


def _reference_links(
    session: Session, connection_id: str, names: Collection[Logical]
) -> dict[Logical, Match]:
    rows = session.scalars(
        select(ReferenceLink).where(
            ReferenceLink.connection_id == connection_id, ReferenceLink.value.in_([one[2] for one in names])
        )
    )
    links = {
        (row.resource_type, row.system, row.value): Match(
            row.server_id, Reason(row.reason) if row.reason else None
        )
        for row in rows
    }
    return {name: links[name] for name in names if name in links}


def _names_of(session: Session, patient_ids: Collection[str]) -> dict[str, list[Name]]:
    names: dict[str, list[Name]] = {}
    for row in session.scalars(
        select(PatientIdentifier).where(PatientIdentifier.patient_id.in_(patient_ids))
    ):
        names.setdefault(row.patient_id, []).append((row.system, row.value))
    return names


def _only(found: Iterable[Collection[str]], reasons: tuple[Reason, Reason]) -> Match:
    ids = {server_id for one in found for server_id in one}
    if len(ids) == 1:
        return Match(next(iter(ids)))
    return Match(reason=reasons[bool(ids)])


_PATIENT_REASONS = (Reason.NO_PATIENT_THERE, Reason.SEVERAL_PATIENTS_THERE)
_REFERENCE_REASONS = (Reason.NOT_FOUND_THERE, Reason.SEVERAL_FOUND_THERE)


def _columns(match: Match, now: datetime) -> Mapping[str, Any]:
    state = "matched" if match.server_id else "unmatched"
    return {"server_id": match.server_id, "state": state, "reason": match.reason, "checked_at": now}
