"""What the chart answers with: a record in one version, a patient, a page of either."""

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store import tables

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RecordVersion:
    """One version of one record. actor and action tell who made this version, by which act."""

    id: str
    resource_type: str
    patient_id: str | None
    version: int
    status: str | None
    text: str = field(repr=False)
    updated_at: datetime
    actor: str
    action: str

    @cached_property
    def tree(self) -> Tree:
        tree: Tree = exact_json.parse(self.text)
        return tree


@dataclass(frozen=True)
class Patient:
    """A person whom records are about: pairs of system and value that they are called by.

    merged_into: the patient who turned out to be the same person.
    """

    id: str
    _: KW_ONLY
    identifiers: tuple[tuple[str, str], ...] = field(repr=False)
    created_at: datetime
    merged_into: str | None = None


@dataclass(frozen=True, kw_only=True)
class PatientChange:
    """One line of a patient's history. detail: the identifiers and the patients that it was about."""

    action: str
    detail: dict[str, Any] = field(repr=False)
    actor: str
    at: datetime


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list. next_after: give it as ``after`` for the next page; None on the last."""

    entries: tuple[T, ...]
    next_after: str | None
    total: int


def version_of(record: tables.Record, version: tables.Version) -> RecordVersion:
    """Return a version of a record; ``record`` itself says only what never changes."""
    return RecordVersion(
        id=record.id,
        resource_type=record.resource_type,
        patient_id=record.patient_id,
        version=version.version,
        status=version.status,
        text=version.tree,
        updated_at=version.at,
        actor=version.actor,
        action=version.action,
    )
