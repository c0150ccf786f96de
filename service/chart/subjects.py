"""Whom people say a record is about: read once, and written down as our reference."""

from typing import Any, cast

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Spot, name_of, subject_of
from service.errors import InvalidContent
from service.store import tables

_PATIENT = cast("Table", tables.Patient.__table__).c
_MERGED_INTO = select(_PATIENT.id, _PATIENT.merged_into).where(bindparam("id") == _PATIENT.id)


def with_subject(session: Session, tree: Tree) -> tuple[Tree, str]:
    """Return the tree with its subject as our reference, and our id of that patient.

    Raises InvalidContent for a subject that is absent, a group, contained, or not registered here.
    """
    subject = subject_of(tree)
    if subject is None:
        path = f"{tree['resourceType']}.subject"
        raise InvalidContent(Finding(path, "a record has to say which patient it is about", "required"))
    if "reference" in subject.reference:
        return tree, _registered(session, subject)
    patient_id = _named(session, subject)
    # The key order of FHIR: reference comes first.
    filled = {"reference": f"Patient/{patient_id}", **subject.reference}
    return {name: filled if name == "subject" else value for name, value in tree.items()}, patient_id


def patient_named(session: Session, identifier: Any) -> str | None:
    """Return our id of the patient who has an Identifier, None where nobody has it."""
    name = name_of(identifier)
    row = session.get(tables.PatientIdentifier, name) if name else None
    return row.patient_id if row else None


def _registered(session: Session, subject: Spot) -> str:
    address = subject.address
    if address is None or address.resource_type != "Patient":
        problem = "has to be a patient who is registered here: Patient/id"
        raise InvalidContent(Finding(subject.path, problem, "value"))
    row = session.connection().execute(_MERGED_INTO, {"id": address.id}).first()
    if row is None:
        raise InvalidContent(
            Finding(subject.path, "no patient is registered here under this id", "not-found")
        )
    if row.merged_into is not None:
        problem = f"this patient was merged into Patient/{row.merged_into}"
        raise InvalidContent(Finding(subject.path, problem, "business-rule"))
    return address.id


def _named(session: Session, subject: Spot) -> str:
    if subject.reference.get("type", "Patient") != "Patient":
        raise InvalidContent(Finding(f"{subject.path}.type", "a record is about a Patient", "value"))
    if subject.name is None:
        raise InvalidContent(Finding(subject.path, "name the patient by reference or identifier", "required"))
    patient_id = patient_named(session, subject.reference["identifier"])
    if patient_id is None:
        problem = "no patient is registered here under this identifier"
        raise InvalidContent(Finding(subject.path, problem, "not-found"))
    return patient_id
