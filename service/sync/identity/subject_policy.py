"""Whom a server's resource is about, and what follows for a record of ours that it is the copy of. Pure.

Of a server only a contradiction counts: it may say a subject in forms that we don't know. A copy
goes to *moved there* when the server has changed whose it is. That our own match has changed since is
nothing that happened to the copy: what was written here follows, what was written there stays whose it
was (``subjects``).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import FHIR_ID, Name, address_in, subject_of

#: The end of an absolute reference: type and id, with or without a version.
_TAIL = re.compile(rf".*/([A-Z][A-Za-z]+)/({FHIR_ID})(?:/_history/{FHIR_ID})?", re.DOTALL)


@dataclass(frozen=True)
class SubjectThere:
    """A subject as a server says it.

    server_id: of a Patient on that server. elsewhere: the id in an absolute reference under
    another name, which may be another name of the same server. name: the identifier beside it.
    """

    server_id: str | None = None
    elsewhere: str | None = None
    name: Name | None = None


@dataclass(frozen=True)
class People:
    """Who is who: the id of a Patient there -> our id; an identifier as the resource says it -> our id."""

    there: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[Name, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Owner:
    """The patient of a record whose copy a resource is. before: the copy's subject when it was last seen."""

    patient_id: str
    before: SubjectThere


@dataclass(frozen=True)
class About:
    """It is about this patient of ours."""

    patient_id: str


@dataclass(frozen=True)
class Moved:
    """The copy is somebody else's there by now. there: that Patient's id; here: our id of them."""

    there: str | None = None
    here: str | None = None


@dataclass(frozen=True)
class NotTaken:
    """It cannot be taken, and this is why. patient_id: of ours, whom it names beside somebody else."""

    finding: Finding
    patient_id: str | None = None


class Nobody(StrEnum):
    """About no patient of ours, as far as we know."""

    STRANGER = "stranger"


SubjectJudgement = About | Moved | NotTaken | Nobody


def subject_there(body: Tree, base_url: str) -> SubjectThere:
    """Read the subject of a server's resource."""
    subject = subject_of(body)
    if subject is None:
        return SubjectThere()
    literal = subject.literal or ""
    address = address_in(literal.removeprefix(f"{base_url}/"))
    tail = _TAIL.fullmatch(literal) if address is None else None
    kind = address.resource_type if address else tail[1] if tail else subject.reference.get("type", "Patient")
    if kind != "Patient":
        # The identifier of a group or a device is nobody's of ours, however it reads.
        return SubjectThere()
    return SubjectThere(address.id if address else None, tail[2] if tail else None, subject.name)


def judge(
    body: Tree, base_url: str, people: People, owner: Owner | None, asked: Collection[str] = ()
) -> SubjectJudgement:
    """Say whom a resource is about.

    owner: of the record whose copy it is, None where it is no copy of ours. asked: the Patients there
    for whom it was searched.
    """
    subject = subject_there(body, base_url)
    if owner is not None and _is_unchanged(subject, owner):
        return About(owner.patient_id)
    patient_id = _told(subject, people, owner, asked)
    named = people.names.get(subject.name) if subject.name else None
    if patient_id is not None and named is not None and named != patient_id:
        problem = "says two things: its identifier is another patient's here"
        return _not_taken(body, owner, subject, problem, patient_id)
    patient_id = patient_id or (None if subject.server_id else named)
    if patient_id is not None and (owner is None or owner.patient_id == patient_id):
        return About(patient_id)
    if owner is not None:
        return Moved(subject.server_id, patient_id or named)
    if subject.server_id is not None:
        return Nobody.STRANGER
    return _not_taken(body, None, subject, "does not tell which patient it is about")


def _is_unchanged(subject: SubjectThere, owner: Owner) -> bool:
    """Tell whether a copy says its subject as it did when it was last seen."""
    return subject == owner.before and (subject.server_id or subject.elsewhere or subject.name) is not None


def _told(subject: SubjectThere, people: People, owner: Owner | None, asked: Collection[str]) -> str | None:
    if subject.server_id is not None:
        return people.there.get(subject.server_id)
    if subject.elsewhere is None:
        return None
    # The server under another name: as far as the id is that of whom we asked for, or of whose copy it is.
    patient_id = people.there.get(subject.elsewhere)
    is_expected = subject.elsewhere in asked or (owner is not None and owner.patient_id == patient_id)
    return patient_id if is_expected else None


def _not_taken(
    body: Tree, owner: Owner | None, subject: SubjectThere, problem: str, patient_id: str | None = None
) -> SubjectJudgement:
    if owner is not None:
        return Moved(subject.server_id)
    return NotTaken(Finding(f"{body['resourceType']}.subject", problem, "business-rule"), patient_id)
