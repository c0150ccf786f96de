"""References between resources: finding, checking and rewriting them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from fhir_mappings.exact_json import Tree
from service.sandbox.outcomes import FHIRError
from service.sandbox.resource_types import RESOURCE_TYPES
from service.sandbox.search.parameters import reference_paths
from service.sandbox.store import Key, Store, Version

LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]+)?")

#: Where the specification restricts what a reference may point at; a path that is not here takes any type.
TARGETS = {
    "Goal.addresses": {
        "Condition",
        "MedicationStatement",
        "NutritionOrder",
        "Observation",
        "RiskAssessment",
        "ServiceRequest",
    },
    "Goal.expressedBy": {"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"},
    "Goal.outcomeReference": {"Observation"},
    "Goal.subject": {"Patient", "Group", "Organization"},
    "CarePlan.subject": {"Patient", "Group"},
    "CarePlan.basedOn": {"CarePlan"},
    "CarePlan.partOf": {"CarePlan"},
    "CarePlan.replaces": {"CarePlan"},
    "CarePlan.encounter": {"Encounter"},
    "CarePlan.careTeam": {"CareTeam"},
    "CarePlan.addresses": {"Condition"},
    "CarePlan.goal": {"Goal"},
    "CarePlan.activity.reference": {
        "Appointment",
        "CommunicationRequest",
        "DeviceRequest",
        "MedicationRequest",
        "NutritionOrder",
        "RequestGroup",
        "ServiceRequest",
        "Task",
        "VisionPrescription",
    },
    "Condition.subject": {"Patient", "Group"},
    "QuestionnaireResponse.basedOn": {"CarePlan", "ServiceRequest"},
    "QuestionnaireResponse.partOf": {"Observation", "Procedure"},
    "QuestionnaireResponse.encounter": {"Encounter"},
    "QuestionnaireResponse.author": {
        "Device",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
    },
    "QuestionnaireResponse.source": {"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"},
    "RelatedPerson.patient": {"Patient"},
    "ServiceRequest.subject": {"Patient", "Group", "Location", "Device"},
    "ServiceRequest.basedOn": {"CarePlan", "MedicationRequest", "ServiceRequest"},
    "ServiceRequest.replaces": {"ServiceRequest"},
    "ServiceRequest.encounter": {"Encounter"},
}


def references(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each literal reference with the path (no indices) of the element that holds it."""
    if isinstance(tree, list):
        for item in tree:
            yield from references(item, path)
    elif isinstance(tree, dict):
        if isinstance(tree.get("reference"), str):
            yield path, tree["reference"]
        for name, member in tree.items():
            if isinstance(member, dict | list):
                yield from references(member, f"{path}.{name}")


def rewritten(tree: Any, change: Callable[[str], str]) -> Any:
    """The tree with every literal reference changed; narratives and all else as they were."""
    if isinstance(tree, list):
        return [rewritten(item, change) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: change(member) if name == "reference" and isinstance(member, str) else rewritten(member, change)
        for name, member in tree.items()
    }


def without_versions(tree: Any) -> Any:
    """The tree with `Type/id/_history/n` as `Type/id`, which is how references are stored."""
    return rewritten(tree, lambda reference: "/".join(local_key(reference) or [reference]))


def local_key(reference: str) -> Key | None:
    """Type and id of a reference within this server; None for absolute, contained and other ones."""
    match = LOCAL.fullmatch(reference)
    return (match[1], match[2]) if match else None


def check(store: Store, tree: Tree, promised: frozenset[Key] = frozenset()) -> None:
    """Refuse references of a wrong type, and indexed ones to what is not here.

    promised: what the same transaction will make.
    """
    for path, reference in references(tree, tree["resourceType"]):
        key = local_key(reference)
        if key is not None and key[0] not in TARGETS.get(path, {key[0]}):
            raise FHIRError(
                422, f"Invalid reference found at path '{path}'. Type {key[0]} is not valid for this path"
            )
        if _is_indexed(path) and not reference.startswith("#") and key not in promised:
            _require_target(store, path, reference, key)


def _require_target(store: Store, path: str, reference: str, key: Key | None) -> None:
    if key is None and reference.startswith(("http://", "https://")):
        raise FHIRError(400, f"Resource contains external reference at {path}, which is not allowed")
    if key is None or key[0] not in RESOURCE_TYPES:
        raise FHIRError(400, f"Invalid resource reference found at path[{path}]")
    if store.living(*key) is None:
        raise FHIRError(400, f"Resource {key[0]}/{key[1]} not found, specified in path: {path}")


def _is_indexed(path: str) -> bool:
    """Only what a search parameter looks at is checked; elsewhere a reference may point anywhere."""
    return path.partition(".")[2] in reference_paths(path.partition(".")[0])


def referrer(store: Store, key: Key, leaving: frozenset[Key] = frozenset()) -> Version | None:
    """A living resource that refers to this one; `leaving` are about to be deleted too."""
    holders = store.referring_to("/".join(key))
    return next((version for version in holders if _holds(version, key, leaving)), None)


def _holds(version: Version, key: Key, leaving: frozenset[Key]) -> bool:
    own = (version.resource_type, version.id)
    return (
        own != key
        and own not in leaving
        and any(
            local_key(reference) == key and _is_indexed(path)
            for path, reference in references(version.tree, version.resource_type)
        )
    )
