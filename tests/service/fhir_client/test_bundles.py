"""Which answer of a batch belongs to which read, in whatever order they come."""

from itertools import permutations
from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from service.fhir_client.bundles import readings
from service.fhir_client.outcomes import Answered, Outcome, Refused, Unknown

#: An entry that has no answer in it.
NOTHING: Tree = {}


def shows(server_id: str, resource_type: str = "Patient") -> Tree:
    return {"resource": {"resourceType": resource_type, "id": server_id}, "response": {"status": "200 OK"}}


def refuses(status: int) -> Tree:
    return {"response": {"status": str(status)}}


def kinds(asked: str, entries: list[Tree]) -> list[str | int | None]:
    """Return what came of each read: the id shown, the status, or None where that has to be asked anew."""
    answer = Answered(200, body={"resourceType": "Bundle", "type": "batch-response", "entry": entries})
    outcomes = readings(answer, "Patient", asked.split())
    assert outcomes is not None
    return [None if one is None else _kind(one) for one in outcomes]


def _kind(outcome: Outcome) -> str | int:
    if isinstance(outcome, Answered):
        return str(outcome.body["id"]) if outcome.body else outcome.status
    assert isinstance(outcome, Refused | Unknown)
    return outcome.status if isinstance(outcome, Refused) else "unknown"


def test_answers_in_any_order_go_to_whom_they_show() -> None:
    for order in permutations("abcd"):
        assert kinds("a b c d", [shows(one) for one in order]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("asked", "entries", "found"),
    [
        ("a b c", [shows("a"), refuses(410), shows("c")], ["a", 410, "c"]),
        ("a b c", [shows("a"), NOTHING, shows("c")], ["a", "unknown", "c"]),
        ("a b", [shows("a"), shows("x")], ["a", "x"]),
        ("a b", [refuses(404), refuses(403)], [404, 403]),
        ("a b c", [shows("b"), shows("c"), refuses(410)], [None, "b", "c"]),
        ("a b c", [shows("c"), refuses(403), refuses(410)], [None, None, "c"]),
        ("a b c", [shows("b"), shows("x"), shows("c")], [None, "b", "c"]),
        ("a b", [shows("a"), shows("a")], ["a", None]),
        ("a b", [shows("b"), shows("b")], [None, "b"]),
        ("a b", [shows("b", "Person"), shows("b")], ["b", "b"]),
    ],
    ids=[
        "gone, in its place",
        "nothing, in its place",
        "another who was not asked for",
        "none shown",
        "gone, but where",
        "gone and forbidden, but which",
        "another, but of whom",
        "one who was asked for, in the place of another",
        "one who was asked for, before their place",
        "the same id of another type",
    ],
)
def test_place_counts_only_where_nothing_shows_another_order(
    asked: str, entries: list[Tree], found: list[Any]
) -> None:
    assert kinds(asked, entries) == found


@pytest.mark.parametrize("entries", [None, "x", [], [shows("a")], [shows("a")] * 3])
def test_too_few_answers_or_too_many_tell_nothing(entries: Any) -> None:
    assert readings(Answered(200, body={"entry": entries}), "Patient", ["a", "b"]) is None
