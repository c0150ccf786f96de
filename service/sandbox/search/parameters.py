"""The search parameters that the sandbox knows, per resource type."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from service.sandbox.resource_types import RESOURCE_TYPES
from service.sandbox.store import Version

_MODIFIERS = {
    "token": {"not"},
    "string": {"exact"},
    "reference": RESOURCE_TYPES,
    "uri": set[str](),
    "date": set[str](),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A search parameter: its kind, and the elements (dotted paths) that it looks at."""

    name: str
    kind: str
    paths: tuple[str, ...]
    target: str | None = None

    @property
    def modifiers(self) -> frozenset[str]:
        return frozenset(_MODIFIERS[self.kind])

    def elements(self, version: Version) -> list[Any]:
        found = [element for path in self.paths for element in _walk(version.tree, path.split("."))]
        if self.target is None:
            return found
        # `patient` is the subject, where the subject is a Patient.
        prefix = f"{self.target}/"
        return [
            element
            for element in found
            if isinstance(element, dict) and str(element.get("reference", "")).startswith(prefix)
        ]

    def sort_key(self, version: Version) -> str:
        if self.name == "_lastUpdated":
            return version.at.isoformat(timespec="microseconds")
        return next((str(element) for element in self.elements(version)), "")


def _walk(tree: Any, path: list[str]) -> list[Any]:
    if isinstance(tree, list):
        return [element for item in tree for element in _walk(item, path)]
    if not path:
        return [] if tree is None else [tree]
    return _walk(tree.get(path[0]), path[1:]) if isinstance(tree, dict) else []


_EVERY_TYPE = """
    _id token id
    _lastUpdated date meta.lastUpdated
    _profile uri meta.profile
    _security token meta.security
    _source uri meta.source
    _tag token meta.tag
    identifier token identifier
"""

#: For types that have no table of their own: what most resources call by the same name.
_ANY = """
    category token category
    code token code
    date date date
    patient patient subject,patient
    status token status
    subject reference subject
"""

_QUESTIONNAIRE = """
    code token item.code
    context-type token useContext.code
    date date date
    effective date effectivePeriod
    name string name
    publisher string publisher
    status token status
    title string title
    url uri url
    version token version
"""

_TABLES = {
    "CarePlan": """
        activity-code token activity.detail.code
        activity-reference reference activity.reference
        based-on reference basedOn
        care-team reference careTeam
        category token category
        condition reference addresses
        date date period
        encounter reference encounter
        goal reference goal
        instantiates-canonical reference instantiatesCanonical
        instantiates-uri uri instantiatesUri
        intent token intent
        part-of reference partOf
        patient patient subject
        performer reference activity.detail.performer
        replaces reference replaces
        status token status
        subject reference subject
    """,
    "Condition": """
        category token category
        clinical-status token clinicalStatus
        code token code
        encounter reference encounter
        onset-date date onsetDateTime,onsetPeriod
        patient patient subject
        recorded-date date recordedDate
        subject reference subject
    """,
    "Goal": """
        achievement-status token achievementStatus
        category token category
        lifecycle-status token lifecycleStatus
        patient patient subject
        start-date date startDate
        subject reference subject
        target-date date target.dueDate
    """,
    "Observation": """
        category token category
        code token code
        date date effectiveDateTime,effectivePeriod
        derived-from reference derivedFrom
        patient patient subject
        status token status
        subject reference subject
    """,
    "Patient": """
        active token active
        birthdate date birthDate
        family string name.family
        gender token gender
        given string name.given
        name string name
        telecom token telecom
    """,
    "Practitioner": """
        active token active
        family string name.family
        given string name.given
        name string name
    """,
    "PractitionerRole": """
        active token active
        organization reference organization
        practitioner reference practitioner
        role token code
        specialty token specialty
    """,
    "Provenance": """
        agent reference agent.who
        patient patient target
        recorded date recorded
        target reference target
    """,
    "Questionnaire": _QUESTIONNAIRE,
    "QuestionnaireResponse": """
        author reference author
        authored date authored
        based-on reference basedOn
        encounter reference encounter
        part-of reference partOf
        patient patient subject
        questionnaire reference questionnaire
        source reference source
        status token status
        subject reference subject
    """,
    "RelatedPerson": """
        active token active
        birthdate date birthDate
        name string name
        patient patient patient
        relationship token relationship
    """,
    "ServiceRequest": """
        authored date authoredOn
        based-on reference basedOn
        category token category
        code token code
        encounter reference encounter
        instantiates-canonical reference instantiatesCanonical
        instantiates-uri uri instantiatesUri
        intent token intent
        occurrence date occurrenceDateTime,occurrencePeriod
        patient patient subject
        performer reference performer
        priority token priority
        replaces reference replaces
        requester reference requester
        requisition token requisition
        status token status
        subject reference subject
    """,
}


@cache
def parameters_of(resource_type: str) -> dict[str, Parameter]:
    lines = (_EVERY_TYPE + _TABLES.get(resource_type, _ANY)).split("\n")
    return {parameter.name: parameter for parameter in map(_parameter, lines) if parameter}


def _parameter(line: str) -> Parameter | None:
    if not line.strip():
        return None
    name, kind, paths = line.split()
    if kind == "patient":
        return Parameter(name=name, kind="reference", paths=tuple(paths.split(",")), target="Patient")
    return Parameter(name=name, kind=kind, paths=tuple(paths.split(",")))


@cache
def reference_paths(resource_type: str) -> frozenset[str]:
    """The elements whose references the type's search parameters look at."""
    found = [
        parameter for parameter in parameters_of(resource_type).values() if parameter.kind == "reference"
    ]
    return frozenset(path for parameter in found for path in parameter.paths)
