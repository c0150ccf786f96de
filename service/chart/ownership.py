"""The law of every row: a record's subject is its patient, said once or twice, as is all it refers to.

Held in ``writes.write``, through which every tree passes that is stored, whichever door it came by;
a restored backup is held to it row by row. What people say is read strictly. Of what a server says
only a contradiction counts: it may know a patient by names that are not registered here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree, dump
from fhir_mappings.references import Name, Spot, name_of, references, subject_of
from service.chart.trees import PATIENT_TYPES, RECORD_TYPES
from service.errors import InvalidContent
from service.store import tables

#: Elements that say whom something is about; elsewhere another patient may stand, a parent who answers.
_SUBJECTS = frozenset({"subject", "patient"})

#: Fewer than SQLite's limit of variables in one statement, of which a name takes three.
_CHUNK = 300

T = TypeVar("T", str, Name)


class Origin(StrEnum):
    """Who speaks."""

    PEOPLE = "people"
    SERVER = "server"


@dataclass(frozen=True)
class Register:
    """What is registered here of all that some trees refer to.

    owners: record id -> type and patient. patients: id -> the patient into whom they were merged,
    if they were. names: identifier -> patient.
    """

    owners: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    patients: Mapping[str, str | None] = field(default_factory=dict)
    names: Mapping[Name, str] = field(default_factory=dict)


def require(
    session: Session,
    tree: Tree,
    patient_id: str | None,
    system: str,
    *,
    origin: Origin = Origin.PEOPLE,
    before: Tree | None = None,
) -> None:
    """Raise InvalidContent for whatever in a tree contradicts that it is this patient's record.

    system: of our identifiers. before: the version that it replaces; what people leave as it was
    is not held against them.
    """
    spots = list(references(tree))
    register = read_register(session, spots, locked=True)
    findings = contradictions(tree, patient_id, system, spots, register)
    if origin is Origin.PEOPLE and patient_id is not None:
        findings += _loose(spots, register, before)
    if findings:
        raise InvalidContent(findings)


def read_register(session: Session, spots: Iterable[Spot], *, locked: bool = False) -> Register:
    """Read what is registered here of all that is referred to; locked: it stays so until the commit."""
    addresses = {spot.address for spot in spots if spot.address is not None}
    names = {spot.name for spot in spots if spot.name is not None and spot.is_to_patient}
    return Register(
        _owners(session, {one.id for one in addresses if one.resource_type in RECORD_TYPES}),
        _patients(session, {one.id for one in addresses if one.resource_type == "Patient"}, locked),
        named_patients(session, names),
    )


def contradictions(
    tree: Tree, patient_id: str | None, system: str, spots: Iterable[Spot], register: Register
) -> list[Finding]:
    """Return what no row may say, whoever said it. Pure."""
    findings = _identity(tree, system)
    if tree["resourceType"] not in PATIENT_TYPES:
        return findings
    if subject_of(tree) is None:
        findings.append(_another_patient(tree))
    subject = f"{tree['resourceType']}.subject"
    for spot in spots:
        if spot.path == subject and spot.address != ("Patient", patient_id):
            findings.append(_another_patient(tree))
        elif problem := _target_problem(spot, patient_id, register) or _name_problem(
            spot, patient_id, register
        ):
            findings.append(Finding(spot.path, *problem))
    return findings


def _another_patient(tree: Tree) -> Finding:
    problem = "a record stays with the patient whom it was made for"
    return Finding(f"{tree['resourceType']}.subject", problem, "business-rule")


def _identity(tree: Tree, system: str) -> list[Finding]:
    """Return what says that this is another record of ours."""
    kind = tree["resourceType"]
    if kind == "Questionnaire":
        return []
    listed = tree.get("identifier", [])
    places = (
        {f"{kind}.identifier[{index}]": one for index, one in enumerate(listed)}
        if isinstance(listed, list)
        else {f"{kind}.identifier": listed}
    )
    problem = "is the identifier of another record here"
    return [
        Finding(path, problem, "business-rule")
        for path, identifier in places.items()
        if (name := name_of(identifier)) is not None and name[0] == system and name[1] != tree["id"]
    ]


def _target_problem(spot: Spot, patient_id: str | None, register: Register) -> tuple[str, str] | None:
    address = spot.address
    if address is None:
        return None
    if address.resource_type == "Patient":
        return _patient_problem(spot, patient_id, register)
    if address.resource_type not in RECORD_TYPES:
        return None
    owner = register.owners.get(address.id)
    if owner is None or owner[0] != address.resource_type:
        return f"no such {address.resource_type} is kept here", "not-found"
    if address.resource_type in PATIENT_TYPES and owner[1] != patient_id:
        return f"this {address.resource_type} belongs to another patient", "business-rule"
    return None


def _patient_problem(spot: Spot, patient_id: str | None, register: Register) -> tuple[str, str] | None:
    assert spot.address is not None
    if spot.address.id not in register.patients:
        return "no patient is registered here under this id", "not-found"
    if (into := register.patients[spot.address.id]) is not None:
        return f"this patient was merged into Patient/{into}", "business-rule"
    if spot.element in _SUBJECTS and spot.address.id != patient_id:
        return "is about another patient than the record", "business-rule"
    return None


def _name_problem(spot: Spot, patient_id: str | None, register: Register) -> tuple[str, str] | None:
    """Return what is wrong with an identifier by which a reference names a patient, if it is."""
    owner = register.names.get(spot.name) if spot.name and spot.is_to_patient else None
    if owner is None:
        return None
    if spot.address is not None and owner != spot.address.id:
        return "says two things: the identifier is that of another patient", "business-rule"
    if spot.element in _SUBJECTS and owner != patient_id:
        return "is about another patient than the record", "business-rule"
    return None


def _loose(spots: Iterable[Spot], register: Register, before: Tree | None) -> list[Finding]:
    """Return what people say of a patient that nothing here bears out."""
    kept = {dump(spot.reference) for spot in references(before)} if before else set()
    findings = []
    for spot in spots:
        if spot.address is None or dump(spot.reference) in kept:
            continue
        if spot.reference.get("type", spot.address.resource_type) != spot.address.resource_type:
            findings.append(Finding(f"{spot.path}.type", "says another type than the reference", "value"))
        if spot.is_to_patient and spot.name is not None and spot.name not in register.names:
            problem = "is not registered here as an identifier of this patient"
            findings.append(Finding(f"{spot.path}.identifier", problem, "not-found"))
    return findings


def _owners(session: Session, ids: set[str]) -> dict[str, tuple[str, str | None]]:
    table = tables.Record
    owners = {}
    for chunk in _chunks(ids):
        rows = session.execute(
            select(table.id, table.resource_type, table.patient_id).where(table.id.in_(chunk))
        )
        owners.update({row.id: (row.resource_type, row.patient_id) for row in rows})
    return owners


def _patients(session: Session, ids: set[str], locked: bool) -> dict[str, str | None]:
    table = tables.Patient
    patients: dict[str, str | None] = {}
    for chunk in _chunks(ids):
        query = select(table.id, table.merged_into).where(table.id.in_(chunk))
        if locked:
            # Nobody is merged away between this look and the commit.
            query = query.with_for_update(read=True, key_share=True)
        patients.update({row.id: row.merged_into for row in session.execute(query)})
    return patients


def named_patients(session: Session, names: set[Name]) -> dict[Name, str]:
    """Return whom each identifier belongs to, of those that are registered."""
    table = tables.PatientIdentifier
    owners: dict[Name, str] = {}
    for chunk in _chunks(names):
        rows = session.execute(
            select(table.system, table.value, table.patient_id).where(
                # The plain column beside the tuple, which alone is no index look-up on SQLite.
                table.value.in_({value for _, value in chunk}),
                tuple_(table.system, table.value).in_(chunk),
            )
        )
        owners.update({(row.system, row.value): row.patient_id for row in rows})
    return owners


def _chunks(items: set[T]) -> Iterable[list[T]]:
    listed = sorted(items)
    return (listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK))
