"""Matches of patients as they are kept: claims, and who has a claim on whom."""

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.references import Name
from service.store.statements import chunks
from service.store.tables import (
    Link,
    PatientIdentifier,
    PatientLink,
    Record,
)
from service.sync.identity.identifiers import SameSystems, canonical
from service.sync.identity.match_policy import Basis, Claim
from service.sync.states import Reason

MATCHED, UNMATCHED = "matched", "unmatched"

#: When what was never looked at was looked at.
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """A claim, since when it has stood so, and why it is no match, if it is none.

    claimed_id: another patient's match that it leads to as well. Equal are two that say the same.
    """

    claim: Claim
    _: KW_ONLY
    checked_at: datetime = field(compare=False)
    reason: Reason | None = None
    claimed_id: str | None = None

    def holds(self) -> set[str]:
        """Return the Patients whom nobody else may be matched to while this stands."""
        is_held = self.claim.is_matched or self.reason is Reason.TWO_HERE_ONE_THERE
        return {one for one in (self.claim.server_id if is_held else None, self.claimed_id) if one}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a patient's match is to stand, judged by what was kept of it."""

    patient_id: str
    kept: Kept
    claim: Claim
    reason: Reason | None = None
    claimed_id: str | None = None


def read(session: Session, connection_id: str, patient_ids: Collection[str]) -> dict[str, Kept]:
    """Return what is known of patients; those who were never looked for have a claim without a Patient."""
    kept: dict[str, Kept] = {}
    for chunk in chunks(sorted(patient_ids)):
        names = names_here(session, chunk)
        rows = {
            row.patient_id: row
            for row in session.scalars(
                select(PatientLink).where(
                    PatientLink.connection_id == connection_id, PatientLink.patient_id.in_(chunk)
                )
            )
        }
        for patient_id in chunk:
            kept[patient_id] = kept_in(rows.get(patient_id), tuple(names.get(patient_id, ())))
    return kept


def matched_patients(session: Session, connection_id: str, *, is_stale: bool = False) -> dict[str, str]:
    """Return who is matched: server id -> our id. is_stale: of those who have to be looked for anew."""
    rows = session.execute(
        select(PatientLink.server_id, PatientLink.patient_id).where(
            PatientLink.connection_id == connection_id,
            PatientLink.state == MATCHED,
            PatientLink.is_stale.is_(is_stale),
        )
    )
    return {row.server_id: row.patient_id for row in rows if row.server_id}


def rivals(session: Session, connection_id: str, server_ids: Collection[str]) -> dict[str, set[str]]:
    """Return of each Patient the patients here whose matches they are, or who lead to them."""
    found: dict[str, set[str]] = {}
    table = PatientLink
    for chunk in chunks(sorted(server_ids)):
        holds = table.server_id.in_(chunk) & or_(
            table.state == MATCHED, table.reason == Reason.TWO_HERE_ONE_THERE
        )
        rows = session.scalars(
            select(table).where(table.connection_id == connection_id, holds | table.claimed_id.in_(chunk))
        )
        for row in rows:
            for server_id in kept_in(row, ()).holds():
                found.setdefault(server_id, set()).add(row.patient_id)
    return found


def ids_there(session: Session, connection_id: str, patient_ids: Collection[str]) -> dict[str, set[str]]:
    """Return who patients are there, those included who were merged into them; only of who is matched."""
    ids: dict[str, set[str]] = {}
    table = PatientLink
    for chunk in chunks(sorted(patient_ids)):
        rows = session.scalars(
            select(table).where(
                table.connection_id == connection_id, table.state == MATCHED, table.patient_id.in_(chunk)
            )
        )
        for row in rows:
            ids[row.patient_id] = {str(row.server_id), *earlier_ids(row)}
    return ids


def anybody_checked(session: Session, connection_id: str, since: datetime) -> bool:
    """Tell whether the server has shown anybody since a moment."""
    table = PatientLink
    row = select(table.patient_id).where(
        table.connection_id == connection_id, table.state == MATCHED, table.checked_at > since
    )
    return session.scalar(row.limit(1)) is not None


def copies(session: Session, connection_id: str, patient_id: str) -> dict[str, list[str]]:
    """Return the server ids of all copies of a patient's records, by resource type."""
    rows = session.execute(
        select(Link.resource_type, Link.server_id)
        .join(Record, Record.id == Link.record_id)
        .where(
            Link.connection_id == connection_id,
            Link.server_id.is_not(None),
            Record.patient_id == patient_id,
        )
    )
    by_type: dict[str, list[str]] = {}
    for row in rows:
        by_type.setdefault(row.resource_type, []).append(str(row.server_id))
    return by_type


def kept_in(row: PatientLink | None, names: tuple[Name, ...]) -> Kept:
    """Return what a row says, beside what the patient is called here."""
    if row is None:
        return Kept(Claim(names), checked_at=NEVER)
    claim = Claim(
        names,
        server_id=row.server_id,
        earlier=earlier_ids(row),
        basis=Basis(row.basis) if row.basis else None,
        shown=tuple((system, value) for system, value in exact_json.parse(row.shown)) if row.shown else (),
        is_matched=row.state == MATCHED,
        is_stale=row.is_stale,
    )
    return Kept(
        claim,
        checked_at=row.checked_at,
        reason=Reason(row.reason) if row.reason else None,
        claimed_id=row.claimed_id,
    )


def earlier_ids(row: PatientLink) -> tuple[str, ...]:
    """Return the Patients there who were merged into the one who is matched."""
    return tuple(exact_json.parse(row.earlier)) if row.earlier else ()


def called(session: Session, names: Collection[Name], same_systems: SameSystems) -> dict[Name, set[str]]:
    """Return who is registered by each of these identifiers, in whatever form; by its canonical form."""
    wanted = {canonical(name, same_systems) for name in names}
    values = {form for _, value in names for form in (value, value.strip())}
    table = PatientIdentifier
    found: dict[Name, set[str]] = {}
    for chunk in chunks(sorted(values)):
        rows = session.execute(
            select(table.system, table.value, table.patient_id).where(table.value.in_(chunk))
        )
        for row in rows:
            name = canonical((row.system, row.value), same_systems)
            if name in wanted:
                found.setdefault(name, set()).add(row.patient_id)
    return found


def names_here(session: Session, patient_ids: Collection[str]) -> dict[str, list[Name]]:
    """Return what patients are called here, in one order."""
    names: dict[str, list[Name]] = {}
    rows = session.scalars(
        select(PatientIdentifier)
        .where(PatientIdentifier.patient_id.in_(patient_ids))
        .order_by(PatientIdentifier.system, PatientIdentifier.value)
    )
    for row in rows:
        names.setdefault(row.patient_id, []).append((row.system, row.value))
    return names
