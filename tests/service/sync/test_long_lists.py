"""What is merged, ordered and told apart takes time with the length of the lists."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from service.sync.merge.resources import onto, reconcile
from service.sync.ordering import in_order
from service.sync.push.bundles import Entry, answers
from tests import builders
from tests.growth import Growth, Work, growths

ITEMS = 1_000
Act = Callable[[], object]


def notes(word: str, size: int) -> list[Tree]:
    return [{"text": f"{word} {number}"} for number in range(size)]


def targets(size: int, first: int = 0, **more: Any) -> list[Tree]:
    return [
        {"measure": {"text": f"steps {number}"}, "detailInteger": number, **more}
        for number in range(first, first + size)
    ]


def merged(before: Tree, here: Tree, there: Tree) -> Act:
    return lambda: reconcile(before, here, before, there)


def notes_added_on_both_sides(size: int) -> Act:
    old = notes("old", size)
    between = [note for pair in zip(old, notes("there", size), strict=True) for note in pair]
    return merged(
        builders.goal(note=old),
        builders.goal(note=old + notes("here", size)),
        builders.goal(note=between),
    )


def the_same_note_added_over_and_over(size: int) -> Act:
    same = [{"text": "same"}]
    return merged(
        builders.goal(note=notes("old", 1)),
        builders.goal(note=notes("old", 1) + same * size),
        builders.goal(note=notes("old", 1) + same * size + notes("there", 1)),
    )


def targets_changed_on_both_sides(size: int) -> Act:
    return merged(
        builders.goal(target=targets(size)),
        builders.goal(target=targets(size, dueDate="2027")),
        builders.goal(target=[{**target, "detailInteger": 9} for target in targets(size)]),
    )


def targets_put_into_another_order_here(size: int) -> Act:
    return merged(
        builders.goal(target=targets(size)),
        builders.goal(target=targets(size)[::-1]),
        builders.goal(target=targets(size), statusDate="2027"),
    )


def targets_that_share_their_measure(size: int) -> Act:
    alike = [{**target, "measure": {"text": "steps"}} for target in targets(2 * size)]
    return merged(
        builders.goal(target=alike[:size]),
        builders.goal(target=alike[size:]),
        builders.goal(target=alike[:size], statusDate="2027"),
    )


def a_copy_that_says_every_item_in_its_own_words(size: int) -> Act:
    body = builders.goal(target=targets(size, id="x"), note=notes("there", size))
    before = builders.goal(target=targets(size), note=notes("here", size))
    here = builders.goal(target=targets(size, dueDate="2027"), note=notes("here", size))
    return lambda: onto(before, here, body)


def answers_in_an_order_of_their_own(size: int) -> Act:
    entries = [
        Entry(record_id=f"{number}", tree={"resourceType": "Goal"}, name=("urn:s", f"{number}"))
        for number in range(size)
    ]
    parts = [
        {
            "response": {"status": "201", "location": f"Goal/{number}"},
            "resource": {
                "resourceType": "Goal",
                "id": f"{number}",
                "identifier": [{"system": "urn:s", "value": f"{number}"}],
            },
        }
        for number in reversed(range(size))
    ]
    return lambda: answers(entries, {"entry": parts})


def records_that_refer_to_each_other(size: int) -> Act:
    references = {number: [number + 1, number - 1, 0] for number in range(size)}
    return lambda: in_order(references)


WORKS: list[Work] = [
    notes_added_on_both_sides,
    the_same_note_added_over_and_over,
    targets_changed_on_both_sides,
    targets_put_into_another_order_here,
    targets_that_share_their_measure,
    a_copy_that_says_every_item_in_its_own_words,
    answers_in_an_order_of_their_own,
    records_that_refer_to_each_other,
]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, ITEMS) for work in WORKS])


@pytest.mark.parametrize("work", WORKS)
def test_time_grows_with_the_length_of_a_list_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]
