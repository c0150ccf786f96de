"""What a Reference points at, and whether it may (https://hl7.org/fhir/R4/references.html)."""

import re
from collections.abc import Container, Mapping
from typing import Any

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE_URL = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def problem(
    reference: Mapping[str, Any],
    targets: frozenset[str] | None,
    contained: Mapping[str, str],
    container: str,
    known: Container[str],
) -> tuple[str, str] | None:
    """Return (member, problem) of a reference, or None.

    contained: resource type by id of what the resource contains. container: its own type.
    """
    literal, declared = reference.get("reference"), reference.get("type")
    target = None
    if isinstance(literal, str):
        if literal.startswith("#") and literal != "#" and literal[1:] not in contained:
            return "reference", "points at a contained resource that is not there (ref-1)"
        target = _type_of(literal, contained, container, known)
        relative = _RELATIVE_URL.fullmatch(literal)
        if relative and relative[1] not in known:
            return "reference", "points at a type of resource that R4 does not have"
    if target and not _allows(targets, target):
        return "reference", "points at a type of resource that is not allowed here"
    if isinstance(declared, str) and declared in known:
        if target and declared != target:
            return "type", "is another type than the reference points at"
        if not _allows(targets, declared):
            return "type", "is a type of resource that is not allowed here"
    return None


def _type_of(literal: str, contained: Mapping[str, str], container: str, known: Container[str]) -> str | None:
    if literal.startswith("#"):
        return contained.get(literal[1:]) if literal != "#" else container
    steps = literal.partition("#")[0].rsplit("/", 4)
    if steps[-2:-1] == ["_history"] and _ID.fullmatch(steps[-1]):
        del steps[-2:]
    name = steps[-2] if len(steps) > 1 and _ID.fullmatch(steps[-1]) else None
    return name if name in known else None


def _allows(targets: frozenset[str] | None, target: str) -> bool:
    return targets is None or target in targets
