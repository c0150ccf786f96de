"""Mapping against fhir.resources' validate and dump of the same resources."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from benchmarks.timing import side_by_side
from fhir_mappings import exact_json, r4
from fhir_mappings.resources import BY_RECORD_TYPE, BY_RESOURCE_TYPE
from service import schemas

EXAMPLES = Path(__file__).parents[1] / "examples"
REPEATS = 40


def resources() -> list[dict[str, Any]]:
    """Return the examples as FHIR resources."""
    trees = []
    for path in sorted(EXAMPLES.glob("*.json")):
        record = exact_json.parse(path.read_bytes())
        mapping = BY_RECORD_TYPE.get(record.get("type", ""))
        if mapping is not None:
            trees.append(mapping.write(schemas.load(record)))
    return trees


def run() -> Iterator[str]:
    """Yield a line per road, with how many times as fast it is."""
    trees = resources()
    texts = [exact_json.dump(tree) for tree in trees]
    roads = {
        "read, write anew": _each(_read_and_write, trees),
        "read, write unedited": _each(_read_and_overlay, trees),
        "whole road: parse, guard, read, write, guard, print": _each(_whole_road, texts),
    }
    result = side_by_side({**roads, "fhir.resources": _each(_validate_and_dump, trees)})
    for road in roads:
        ratio = result.speed(road, against="fhir.resources")
        yield f"{road}: {ratio:.1f} x fhir.resources' validate and dump"


def _each(work: Callable[[Any], None], subjects: list[Any]) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(REPEATS):
            for subject in subjects:
                work(subject)

    return repeat


def _read_and_write(tree: dict[str, Any]) -> None:
    mapping = BY_RESOURCE_TYPE[tree["resourceType"]]
    mapping.write(mapping.read(tree))


def _read_and_overlay(tree: dict[str, Any]) -> None:
    mapping = BY_RESOURCE_TYPE[tree["resourceType"]]
    mapping.write(mapping.read(tree), onto=tree)


def _whole_road(text: str) -> None:
    tree = exact_json.parse(text)
    r4.require(tree)
    mapping = BY_RESOURCE_TYPE[tree["resourceType"]]
    written = mapping.write(mapping.read(tree))
    r4.require(written)
    exact_json.dump(written)


def _validate_and_dump(tree: dict[str, Any]) -> None:
    get_fhir_model_class(tree["resourceType"]).model_validate(tree).model_dump()
