"""References between resources: finding, checking and rewriting them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from fhir_mappings.exact_json import Tree
from service.sandbox.outcomes import FHIRError
from service.sandbox.resource_types import RESOURCE_TYPES
from service.sandbox.store import Key, Store, Version

LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]+)?")

#: Where the specification restricts what a reference may point at; a path that is not here takes any type.
TARGETS = {
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


def local_key(reference: str) -> Key | None:
    """Type and id of a reference within this server; None for absolute, contained and other ones."""
    match = LOCAL.fullmatch(reference)
    return (match[1], match[2]) if match else None


def check(store: Store, tree: Tree, promised: frozenset[Key] = frozenset()) -> None:
    """Refuse a reference to what does not exist; `promised` is what the same transaction will make."""
    for path, reference in references(tree, tree["resourceType"]):
        key = local_key(reference)
        if key is None:
            continue
        if key[0] not in RESOURCE_TYPES:
            raise FHIRError(400, f"Invalid resource reference found at path[{path}]: unknown resource type")
        if key[0] not in TARGETS.get(path, {key[0]}):
            raise FHIRError(422, f"Invalid reference at path {path}: type {key[0]} is not valid here")
        if key not in promised and store.living(*key) is None:
            raise FHIRError(400, f"Resource {key[0]}/{key[1]} not found, specified in path: {path}")


def referrer(store: Store, key: Key, leaving: frozenset[Key] = frozenset()) -> Version | None:
    """A living resource that refers to this one; `leaving` are about to be deleted too."""
    for version in store.all_living():
        if (version.resource_type, version.id) in leaving or (version.resource_type, version.id) == key:
            continue
        if any(local_key(found) == key for _, found in references(version.tree, version.resource_type)):
            return version
    return None
