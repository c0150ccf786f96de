"""The guard's definitions come from R4B; they are those of R4 (4.0.1), as another library has them."""

import importlib
from typing import Any

import pytest

from fhir_mappings import r4
from fhir_mappings.r4.guard import shape_of

#: R4 4.0.1 wants these; R4B does not, and what R4B has is all that we have.
_LENIENT = {("MarketingStatus", "country"), ("MarketingStatus", "dateRange")}

_CLOSED = sorted(name for name in r4.RESOURCE_TYPES if not shape_of(name).is_open)


def r4_model(name: str) -> Any:
    module = importlib.import_module(f"fhirclient.models.{name.lower()}")
    return getattr(module, name)


@pytest.mark.parametrize("name", _CLOSED)
def test_a_definition_is_that_of_r4(name: str) -> None:
    differences: list[str] = []
    compare(name, r4_model(name), set(), differences)
    assert differences == []


def compare(name: str, model: Any, seen: set[str], differences: list[str]) -> None:
    if name in seen or model.__name__ in ("Resource", "Extension"):
        return
    seen.add(name)
    shape = shape_of(name)
    theirs = {json_name: rest for _, json_name, *rest in model().elementProperties()}
    ours = set(shape.members)
    differences += [f"{name}.{extra} is not in R4" for extra in sorted(ours - theirs.keys())]
    differences += [f"{name}.{missing} is missing" for missing in sorted(theirs.keys() - ours)]
    for member_name in ours & theirs.keys():
        member = shape.members[member_name]
        type_, is_list, _, is_required = theirs[member_name]
        if member.many != is_list:
            differences.append(f"{name}.{member_name}: how often")
        in_choice = any(member_name in names for _, names, _ in shape.choices)
        may_differ = in_choice or (name, member_name) in _LENIENT
        if (member_name in shape.required) != is_required and not may_differ:
            differences.append(f"{name}.{member_name}: whether required")
        is_complex = hasattr(type_, "elementProperties")
        if is_complex != (member.check is None):
            differences.append(f"{name}.{member_name}: its type")
        elif is_complex and member.type_name != "Resource":
            compare(member.type_name, type_, seen, differences)


def test_extensions_have_the_values_of_r4() -> None:
    theirs = {json_name for _, json_name, *_ in r4_model("Extension")().elementProperties()}
    assert set(shape_of("Extension").members) == theirs
