"""The law of every row: a record's subject is its patient, said once or twice, as is all it refers to.

Held in ``writes``, through which every tree passes that is stored, whichever door it came by; a
restored backup is held to it row by row. What people say is read strictly. Of what a server says
only a contradiction counts: it may know a patient by names that are not registered here.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum

from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree, dump
from fhir_mappings.references import Address, Name, Spot, name_of, references, subject_of
from service.chart import targets
from service.chart.targets import Register
from service.errors import InvalidContent
from service.record_types import BY_RESOURCE_TYPE, OF_PATIENT

#: Elements that say whom something is about; elsewhere another patient may stand, a parent who answers.
SUBJECTS = frozenset({"subject", "patient"})

#: A URL with its scheme, or a resource that is contained.
_NOT_RELATIVE = re.compile(r"#|[A-Za-z][A-Za-z0-9+.\-]*:")

#: An identifier of nobody who is registered here, and the patient whom a record means by it.
Stranger = tuple[Name, str]


class Origin(StrEnum):
    """Who speaks."""

    PEOPLE = "people"
    SERVER = "server"


def require(
    session: Session,
    tree: Tree,
    patient_id: str | None,
    system: str,
    *,
    origin: Origin = Origin.PEOPLE,
    before: Tree | None = None,
) -> set[Stranger]:
    """Raise InvalidContent for whatever in a tree contradicts that it is this patient's record.

    system: of our identifiers. before: the version that it replaces; what people leave as it was
    is not held against them. Return the identifiers by which it names patients and nobody is
    registered here: who is so later has to be the one whom it means.
    """
    spots = list(references(tree))
    new, led_here = [], []
    if origin is Origin.PEOPLE and patient_id is not None:
        kept = {dump(spot.reference) for spot in references(before)} if before else set()
        new = [spot for spot in spots if dump(spot.reference) not in kept]
        led_here = _led_here(session, new)
    register = targets.read_register(session, spots + led_here, locked=True)
    findings = unproven(new, register)
    refused = {finding.path.removesuffix(".identifier") for finding in findings}
    others = [spot for spot in spots + led_here if spot.path not in refused]
    findings += contradictions(tree, patient_id, system, others, register)
    if findings:
        raise InvalidContent(findings)
    return set() if patient_id is None else _strangers(spots, patient_id, register)


def _led_here(session: Session, spots: Iterable[Spot]) -> list[Spot]:
    """Return the references that lead here by way of a server that is kept in step, as ours."""
    copies = targets.copies(session, {spot.literal for spot in spots if spot.literal is not None})
    return [
        replace(spot, reference={**spot.reference, "reference": str(copies[spot.literal])})
        for spot in spots
        if spot.literal in copies
    ]


def contradictions(
    tree: Tree, patient_id: str | None, system: str, spots: Iterable[Spot], register: Register
) -> list[Finding]:
    """Return what no row may say, whoever said it. Pure."""
    findings = _identity(tree, system)
    kind = tree["resourceType"]
    if kind not in OF_PATIENT:
        shared = Finding(kind, f"a {kind} is for all, and no patient's", "business-rule")
        return findings if patient_id is None else [*findings, shared]
    subject, path = subject_of(tree), f"{kind}.subject"
    # Not looked for among the references: one that says neither address nor identifier is none of them.
    is_about_them = subject is not None and subject.address == ("Patient", patient_id)
    if not is_about_them:
        stays = "a record stays with the patient whom it was made for"
        findings.append(Finding(path, stays, "business-rule"))
    for spot in spots:
        if spot.path == path and not is_about_them:
            continue
        problem = _target_problem(spot, patient_id, register) or _name_problem(spot, patient_id, register)
        if problem is not None:
            findings.append(Finding(spot.path, *problem))
    return findings


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
        # Whom it finds is only known where it arrives: in another patient's chart, maybe.
        return ("is a search and no address: Type/id", "value") if spot.is_search else None
    if address.resource_type == "Patient":
        return _patient_problem(spot, patient_id, register)
    if address.resource_type not in BY_RESOURCE_TYPE:
        return None
    kind, owner = register.owners.get(address.id, (None, None))
    is_for_all = address.resource_type not in OF_PATIENT
    if kind == address.resource_type and (is_for_all or owner == patient_id):
        return None
    # Another's and none are said alike: who is confined to a patient is not told what others have.
    whose = "" if is_for_all else " of this patient"
    return f"no such {address.resource_type}{whose} is kept here", "not-found"


def _patient_problem(spot: Spot, patient_id: str | None, register: Register) -> tuple[str, str] | None:
    assert spot.address is not None
    if spot.address.id not in register.patients:
        return "no patient is registered here under this id", "not-found"
    if (into := register.patients[spot.address.id]) is not None:
        return f"this patient was merged into Patient/{into}", "business-rule"
    if spot.element in SUBJECTS and spot.address.id != patient_id:
        return "is about another patient than the record", "business-rule"
    return None


def _name_problem(spot: Spot, patient_id: str | None, register: Register) -> tuple[str, str] | None:
    """Return what is wrong with an identifier by which a reference names a patient, if it is."""
    owner = register.names.get(spot.name) if spot.name and spot.is_to_patient else None
    if owner is None:
        return None
    if spot.address is not None and owner != spot.address.id:
        return "says two things: the identifier is that of another patient", "business-rule"
    if spot.element in SUBJECTS and owner != patient_id:
        return "is about another patient than the record", "business-rule"
    return None


def unproven(spots: Iterable[Spot], register: Register) -> list[Finding]:
    """Return what people may not say because nothing here bears it out. Pure."""
    findings = []
    for spot in spots:
        if (problem := _unread(spot) or _unregistered_subject(spot, register)) is not None:
            findings.append(Finding(spot.path, problem, "value"))
        elif spot.address is not None:
            findings += _twice_unproven(spot, spot.address, register)
    return findings


def _unread(spot: Spot) -> str | None:
    literal = spot.literal
    is_read = literal is None or spot.address is not None or spot.is_search or _NOT_RELATIVE.match(literal)
    return None if is_read else "cannot be read: Type/id, #id, or a whole URL"


def _unregistered_subject(spot: Spot, register: Register) -> str | None:
    if spot.element not in SUBJECTS or spot.is_search:
        return None
    if spot.literal is None and spot.name in register.names:
        return None
    is_ours = spot.address is not None and spot.address.resource_type == "Patient"
    return None if is_ours else "has to be a patient who is registered here: Patient/id"


def _twice_unproven(spot: Spot, address: Address, register: Register) -> Iterator[Finding]:
    if spot.reference.get("type", address.resource_type) != address.resource_type:
        yield Finding(f"{spot.path}.type", "says another type than the reference", "value")
    # Another's and nobody's are said alike, too.
    if spot.is_to_patient and spot.name is not None and register.names.get(spot.name) != address.id:
        problem = "is not registered here as an identifier of this patient"
        yield Finding(f"{spot.path}.identifier", problem, "not-found")


def _strangers(spots: Collection[Spot], patient_id: str, register: Register) -> set[Stranger]:
    strangers: set[Stranger] = set()
    for spot in spots:
        if spot.name is None or not spot.is_to_patient or spot.name in register.names:
            continue
        if spot.address is not None:
            strangers.add((spot.name, spot.address.id))
        elif spot.element in SUBJECTS:
            strangers.add((spot.name, patient_id))
    return strangers
