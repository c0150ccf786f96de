"""Which resources a query asks for (https://hl7.org/fhir/R4/search.html)."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.sandbox.outcomes import FHIRError
from service.sandbox.search.matching import MATCHERS, Test
from service.sandbox.search.parameters import Parameter, parameters_of
from service.sandbox.store import Store, Version

#: Parameters that shape the answer and select nothing.
RESULT_PARAMETERS = {"_count", "_sort", "_total", "_format", "_pretty", "_summary"}
PREFERRED_COUNT = 10
MAX_COUNT = 1000

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One parameter of a query: all of them must hold, any of the values will do."""

    parameter: Parameter
    modifier: str | None
    values: tuple[str, ...]
    test: Test

    def holds(self, version: Version) -> bool:
        return (self.modifier == "not") != self.test(self.parameter.elements(version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search, understood."""

    resource_type: str
    criteria: tuple[Criterion, ...]
    sort: tuple[tuple[Parameter, bool], ...]
    count: int
    exact_total: bool
    only_total: bool


def parse(resource_type: str, pairs: Pairs) -> Query:
    shape = {name: value for name, value in pairs if name in RESULT_PARAMETERS}
    criteria = [
        _criterion(resource_type, name, value)
        for name, value in pairs
        if name not in RESULT_PARAMETERS and value.strip()
    ]
    return Query(
        resource_type=resource_type,
        criteria=tuple(criteria),
        sort=tuple(_sort(resource_type, shape.get("_sort", ""))),
        count=count_of(shape),
        exact_total=shape.get("_total") == "accurate",
        only_total=shape.get("_summary") == "count" or shape.get("_count") == "0",
    )


def count_of(shape: dict[str, str]) -> int:
    text = shape.get("_count", "") or str(PREFERRED_COUNT)
    if not text.isdecimal():
        raise FHIRError(400, "Invalid _count: a whole number is needed")
    return min(int(text), MAX_COUNT)


def _criterion(resource_type: str, name: str, value: str) -> Criterion:
    bare, _, modifier = name.partition(":")
    known = parameters_of(resource_type)
    if bare not in known:
        raise FHIRError(
            400,
            f"Unknown search parameter for resource type {resource_type}. Known: {', '.join(sorted(known))}",
        )
    parameter = known[bare]
    if modifier and modifier not in parameter.modifiers:
        raise FHIRError(400, f"Unsupported modifier on search parameter {bare}")
    values = tuple(value.split(","))
    if bare == "_id":
        values = tuple(text.removeprefix(f"{resource_type}/") for text in values)
    # Made here, so that a malformed date is refused even where nothing is there to compare it with.
    test = MATCHERS[parameter.kind](values, modifier or None)
    return Criterion(parameter=parameter, modifier=modifier or None, values=values, test=test)


def _sort(resource_type: str, text: str) -> Iterable[tuple[Parameter, bool]]:
    known = parameters_of(resource_type)
    for name in filter(None, text.split(",")):
        if name.lstrip("-") not in known:
            raise FHIRError(400, f"Unknown _sort parameter for resource type {resource_type}")
        yield known[name.removeprefix("-")], name.startswith("-")


def find(store: Store, query: Query) -> list[Version]:
    """The living resources that meet the query, in its order."""
    found = [
        version
        for version in _candidates(store, query)
        if all(criterion.holds(version) for criterion in query.criteria)
    ]
    found.sort(key=lambda version: version.order)
    for parameter, descending in reversed(query.sort):
        found.sort(key=parameter.sort_key, reverse=descending)
    return found


def _candidates(store: Store, query: Query) -> list[Version]:
    for criterion in query.criteria:
        if criterion.parameter.name == "identifier" and criterion.modifier is None:
            values = [value.rpartition("|")[2] for value in criterion.values]
            if all(values):
                return store.with_identifier(query.resource_type, set(values))
    return store.all_living(query.resource_type)
