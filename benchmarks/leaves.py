"""The share of a foreign resource's leaves that a record reads, and where the others stand."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings

from fhir_mappings.lens.mapping import all_leaves
from fhir_mappings.resources import BY_RESOURCE_TYPE
from tests import foreign

EXAMPLES = 300


def run() -> Iterator[str]:
    """Yield a line per resource type: the share read, and what the unread leaves belong to."""
    for strategy in foreign.STRATEGIES.values():
        yield _line(_drawn(strategy()))


def _drawn(strategy: Any) -> list[dict[str, Any]]:
    trees: list[dict[str, Any]] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(strategy)
    def draw(tree: dict[str, Any]) -> None:
        trees.append(tree)

    draw()
    return trees


def _line(trees: list[dict[str, Any]]) -> str:
    resource_type = trees[0]["resourceType"]
    mapping = BY_RESOURCE_TYPE[resource_type]
    total = sum(1 for tree in trees for _ in all_leaves(tree, ""))
    lost = [path for tree in trees for path in mapping.loss(tree)]
    places = ", ".join(
        f"{place} {count / len(lost):.0%}" for place, count in Counter(map(_place, lost)).most_common(6)
    )
    share = f"{1 - len(lost) / total:.0%} of {total} leaves"
    return f"{resource_type}: {share} of {len(trees)} generated foreign resources read; unread: {places}"


def _place(path: str) -> str:
    """Name what an unread leaf belongs to."""
    if re.search(r"\bmodifierExtension\[", path):
        return "modifierExtension"
    if re.search(r"\b(extension|_\w+)\b", path.partition(".")[2]) and not path.startswith("contained"):
        return "extensions" if "contained[" not in path else "contained"
    return re.sub(r"\[\d+\].*", "", path.split(".")[1])
