"""Whether a reference still stands where it stood: never by place alone."""

from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from service.chart.standing import unmoved


def note(patient: str, text: str = "same") -> Tree:
    return {"authorReference": {"reference": f"Patient/{patient}"}, "text": text}


def stands(then: list[Any], now: list[Any], index: int = 0) -> bool:
    path = f"Goal.note[{index}].authorReference"
    trees = [{"resourceType": "Goal", **({"note": notes} if notes else {})} for notes in (then, now)]
    return unmoved(trees[0], trees[1], [path]) == {path}


@pytest.mark.parametrize(
    ("then", "now", "index", "expected"),
    [
        ([note("bob"), note("bob")], [note("bob"), note("bob")], 0, True),
        ([note("bob"), note("bob")], [note("bob")], 0, False),
        ([note("bob"), note("bob")], [note("bob"), note("bob", "new")], 0, False),
        ([note("bob"), note("bob")], [note("bob"), note("bob"), note("bob", "new")], 1, False),
        ([note("bob"), note("cid")], [note("bob")], 0, False),
        ([note("bob"), note("bob", "b")], [note("bob")], 0, True),
        ([note("bob"), note("bob", "b")], [note("bob", "b")], 0, False),
        ([note("bob"), note("bob", "b")], [note("bob", "b"), note("bob")], 0, False),
        ([note("bob"), note("bob", "b")], [note("bob", "new"), note("bob"), note("bob", "b")], 0, False),
        ([note("bob"), note("bob", "b")], [note("bob"), note("bob", "new")], 0, True),
        ([note("bob")], [note("bob"), note("bob")], 0, False),
        ([note("bob")], [note("bob", "edited")], 0, False),
        ([note("bob")], [], 0, False),
    ],
    ids=[
        "untouched",
        "one of two equal ones is gone",
        "one of two equal ones is another",
        "beside equal ones there is a new one",
        "one of two is gone that differ by whom they name",
        "the other of two is gone",
        "its place was taken by the next",
        "exchanged",
        "moved on",
        "the other was edited",
        "there are two of it now",
        "edited itself",
        "all gone",
    ],
)
def test_in_a_list_only_what_can_be_told_from_the_rest_stands(
    then: list[Any], now: list[Any], index: int, expected: bool
) -> None:
    assert stands(then, now, index) is expected


def test_outside_lists_an_equal_reference_stands() -> None:
    then = {"resourceType": "Goal", "expressedBy": {"reference": "Patient/bob"}}
    path = "Goal.expressedBy"
    assert unmoved(then, {**then, "note": [note("bob")]}, [path]) == {path}
    assert (
        unmoved(then, {**then, "expressedBy": {"reference": "Patient/bob", "display": "B"}}, [path]) == set()
    )
    assert unmoved(then, {"resourceType": "Goal"}, [path]) == set()
