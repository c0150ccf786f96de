"""Which items of four lists are the same item."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.sync.merge import grain
from service.sync.merge.alignment import aligned
from service.sync.merge.three_way import merge

ITEMS = st.fixed_dictionaries(
    {"url": st.sampled_from("uvw")}, optional={"id": st.sampled_from("ab"), "value": st.integers(0, 3)}
)
LISTS = st.lists(ITEMS, max_size=4)


def url(item: Any) -> Any:
    return item["url"]


@given(LISTS, LISTS, LISTS, LISTS)
def test_every_item_of_every_list_has_a_place_of_its_own(
    here_before: Any, here: Any, there_before: Any, there: Any
) -> None:
    for slots, items in zip(
        aligned(here_before, here, there_before, there, url),
        (here_before, here, there_before, there),
        strict=True,
    ):
        assert list(slots.values()) == items


def test_the_same_addition_on_both_sides_is_one_and_said_again_another() -> None:
    old, new = {"url": "old"}, {"url": "new"}
    _, here, _, there = aligned([old], [old, new, new], [old], [new, old, new], url)
    assert here.keys() == there.keys()


def test_what_is_new_takes_no_place_that_another_has_held_since_before() -> None:
    kept, theirs, added = {"url": "u", "value": 0}, {"url": "v", "value": 1}, {"url": "v", "value": 2}
    before: dict[str, Any] = {"resourceType": "Goal", "extension": [kept]}
    merged = merge(
        before,
        {**before, "extension": [kept, {"url": "w"}]},
        {**before, "extension": [kept, theirs]},
        {**before, "extension": [kept, added, theirs]},
        grain.of_resource_type("Goal"),
    )
    assert added in merged.here["extension"]
    assert added in merged.there["extension"]
    assert theirs in merged.there["extension"]
