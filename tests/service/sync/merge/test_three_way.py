"""Three-way merge: what changed on one side is carried, what changed on both is a conflict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.exact_json import Number, Tree
from service.sync.merge import grain
from service.sync.merge.resources import onto, reconcile
from service.sync.merge.three_way import Merged, Side, merge
from tests.tally import Tally


def three_way(before: Tree, here: Tree, there: Tree, prefer: Side | None = None) -> Merged:
    kind = "QuestionnaireResponse" if "item" in {**before, **here, **there} else "Goal"
    before, here, there = ({"resourceType": kind, **tree} for tree in (before, here, there))
    return merge(before, here, before, there, grain.of_resource_type(kind), prefer=prefer)


def without_type(tree: Tree) -> Tree:
    return {key: value for key, value in tree.items() if key != "resourceType"}


WALK, RUN, SWIM = ({"text": word} for word in ("walk", "run", "swim"))
PAIN = {"coding": [{"system": "s", "code": "pain"}]}
STEPS = {"coding": [{"system": "s", "code": "steps"}]}
TARGET = {"measure": STEPS, "detailQuantity": {"value": 5}}
NOTE_A, NOTE_B, NOTE_C = ({"text": word} for word in "abc")


@pytest.mark.parametrize(
    ("before", "here", "there", "merged"),
    [
        ({"description": WALK}, {"description": RUN}, {"description": WALK}, {"description": RUN}),
        ({"description": WALK}, {"description": WALK}, {"description": RUN}, {"description": RUN}),
        ({"description": WALK}, {"description": RUN}, {"description": RUN}, {"description": RUN}),
        (
            {},
            {"statusDate": "2026"},
            {"lifecycleStatus": "active"},
            {"statusDate": "2026", "lifecycleStatus": "active"},
        ),
        ({"statusDate": "2026"}, {}, {"statusDate": "2026", "priority": PAIN}, {"priority": PAIN}),
        (
            {"note": [NOTE_A]},
            {"note": [NOTE_A, NOTE_B]},
            {"note": [NOTE_A, NOTE_C]},
            {"note": [NOTE_A, NOTE_C, NOTE_B]},
        ),
        (
            {"note": [NOTE_A, NOTE_B]},
            {"note": [NOTE_B]},
            {"note": [NOTE_A, NOTE_B, NOTE_C]},
            {"note": [NOTE_B, NOTE_C]},
        ),
        (
            {"target": [TARGET]},
            {"target": [{**TARGET, "detailQuantity": {"value": 6}}]},
            {"target": [{**TARGET, "dueDate": "2026-05"}]},
            {"target": [{**TARGET, "detailQuantity": {"value": 6}, "dueDate": "2026-05"}]},
        ),
        (
            {"item": [{"linkId": "1", "answer": [{"valueString": "a"}]}, {"linkId": "2"}]},
            {"item": [{"linkId": "1", "answer": [{"valueString": "b"}]}, {"linkId": "2"}]},
            {"item": [{"linkId": "1", "answer": [{"valueString": "a"}]}, {"linkId": "2", "text": "t"}]},
            {"item": [{"linkId": "1", "answer": [{"valueString": "b"}]}, {"linkId": "2", "text": "t"}]},
        ),
        (
            {"extension": [{"url": "u", "valueString": "1"}, {"url": "v", "valueString": "1"}]},
            {"extension": [{"url": "u", "valueString": "2"}, {"url": "v", "valueString": "1"}]},
            {"extension": [{"url": "u", "valueString": "1"}, {"url": "v", "valueString": "2"}]},
            {"extension": [{"url": "u", "valueString": "2"}, {"url": "v", "valueString": "2"}]},
        ),
    ],
)
def test_changes_in_different_places_are_merged(before: Tree, here: Tree, there: Tree, merged: Tree) -> None:
    result = three_way(before, here, there)
    assert result.conflicts == []
    for side in (result.here, result.there):
        assert _with_sorted_notes(without_type(side)) == _with_sorted_notes(merged)


def _with_sorted_notes(tree: Tree) -> Tree:
    return {**tree, "note": sorted(tree["note"], key=str)} if "note" in tree else tree


@pytest.mark.parametrize(
    ("before", "here", "there", "path"),
    [
        ({"description": WALK}, {"description": RUN}, {"description": SWIM}, "Goal.description"),
        ({"description": WALK}, {"description": RUN}, {}, "Goal.description"),
        ({}, {"description": RUN}, {"description": SWIM}, "Goal.description"),
        # A changed coding under the statement is a change of the statement, though its text is the same.
        (
            {"description": WALK},
            {"description": RUN},
            {"description": {**WALK, "coding": [PAIN]}},
            "Goal.description",
        ),
        ({"startDate": "2026"}, {"startCodeableConcept": PAIN}, {"startDate": "2027"}, "Goal.start[x]"),
        (
            {"statusDate": "2026"},
            {"statusDate": "2027"},
            {"statusDate": "2026", "_statusDate": {"id": "x"}},
            "Goal.statusDate",
        ),
        (
            {"target": [TARGET]},
            {"target": [{**TARGET, "detailQuantity": {"value": 6}}]},
            {"target": [{**TARGET, "detailString": "much"} | {"detailQuantity": {"value": 7}}]},
            "Goal.target[0].detail[x]",
        ),
        ({"target": [TARGET]}, {"target": [{**TARGET, "detailQuantity": {"value": 6}}]}, {}, "Goal.target"),
        ({"note": [NOTE_A]}, {"note": [NOTE_B]}, {"note": [NOTE_C]}, "Goal.note"),
        (
            {"item": [{"linkId": "1", "answer": [{"valueString": "a"}]}]},
            {"item": [{"linkId": "1", "answer": [{"valueString": "b"}]}]},
            {"item": [{"linkId": "1", "answer": [{"valueString": "c"}]}]},
            "QuestionnaireResponse.item[0].answer",
        ),
    ],
)
def test_changes_in_the_same_place_conflict_by_path(before: Tree, here: Tree, there: Tree, path: str) -> None:
    result = three_way(before, here, there)
    assert result.conflicts == [path]


def test_a_preferred_side_counts_only_where_both_changed() -> None:
    before = {"description": WALK, "statusDate": "2026"}
    here = {"description": RUN, "statusDate": "2026"}
    there = {"description": SWIM, "statusDate": "2027"}
    assert three_way(before, here, there, Side.HERE).here["description"] == RUN
    assert three_way(before, here, there, Side.HERE).here["statusDate"] == "2027"
    assert three_way(before, here, there, Side.THERE).there["description"] == SWIM


def test_removing_one_of_two_like_targets_does_not_touch_the_other() -> None:
    first, second = {**TARGET, "id": "a"}, {**TARGET, "id": "b"}
    changed = {**second, "dueDate": "2026-06"}
    result = three_way({"target": [first, second]}, {"target": [second]}, {"target": [first, changed]})
    assert result.conflicts == []
    assert result.here["target"] == [changed]
    assert result.there["target"] == [changed]


def test_a_new_order_on_one_side_is_carried_and_on_both_sides_conflicts() -> None:
    a, b, c = NOTE_A, NOTE_B, NOTE_C
    assert three_way({"note": [a, b]}, {"note": [b, a]}, {"note": [a, b]}).there["note"] == [b, a]
    assert three_way({"note": [a, b]}, {"note": [b, a]}, {"note": [a, b, c]}).conflicts == ["Goal.note"]


def test_what_the_server_only_says_differently_is_no_change() -> None:
    here_before = {
        "resourceType": "Goal",
        "target": [{"measure": PAIN, "detailQuantity": {"value": Number("1e2")}}],
    }
    body = {
        "resourceType": "Goal",
        "target": [{"measure": PAIN, "detailQuantity": {"value": 100}, "id": "x"}],
    }
    assert onto(here_before, here_before, body) is body
    edited = {**here_before, "statusDate": "2026"}
    assert onto(here_before, edited, body) == {**body, "statusDate": "2026"}


def test_an_item_that_the_server_says_differently_can_still_be_removed() -> None:
    first, second = {"text": "a"}, {"text": "b"}
    body = {"resourceType": "Goal", "note": [{"text": "a", "time": "2026"}, {"text": "b", "time": "2026"}]}
    before = {"resourceType": "Goal", "note": [first, second]}
    assert onto(before, {"resourceType": "Goal", "note": [second]}, body)["note"] == [
        {"text": "b", "time": "2026"}
    ]


def test_a_narrative_of_ours_is_made_anew_and_never_conflicts() -> None:
    from fhir_mappings.records import CarePlan, CarePlanStatus, Reference
    from fhir_mappings.resources import BY_RESOURCE_TYPE

    mapping = BY_RESOURCE_TYPE["CarePlan"]
    plan = CarePlan(status=CarePlanStatus.ACTIVE, title="Old", subject=Reference(reference="Patient/1"))
    before = mapping.write(plan)
    here = {**before, "title": "Mine", "text": {**before["text"], "div": "<div>mine</div>"}}
    there = {**before, "description": "Theirs", "text": {**before["text"], "div": "<div>theirs</div>"}}
    result = reconcile(before, here, before, there)
    assert result.conflicts == []
    for side in (result.here, result.there):
        assert "Mine" in side["text"]["div"]
        assert "Theirs" in side["text"]["div"]


NAMES = ("description", "priority", "achievementStatus", "statusDate", "statusReason")
VALUES = st.sampled_from([None, "one", "two", "three"])
TREES = st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES)).map(
    lambda tree: {"resourceType": "Goal", **{name: value for name, value in tree.items() if value}}
)
LISTS = st.lists(st.sampled_from("abcdef").map(lambda text: {"text": text}), unique_by=str, max_size=5)


@given(TREES, TREES)
def test_a_side_that_did_not_change_takes_the_other(before: Tree, after: Tree) -> None:
    assert three_way(before, before, after) == Merged(after, after)
    assert three_way(before, after, before) == Merged(after, after)


@given(TREES, TREES)
def test_the_same_change_on_both_sides_is_no_conflict(before: Tree, after: Tree) -> None:
    assert three_way(before, after, after) == Merged(after, after)


@given(TREES, TREES, TREES)
def test_conflicts_are_exactly_the_elements_that_both_changed_differently(
    before: Tree, here: Tree, there: Tree
) -> None:
    differing = [
        name
        for name in NAMES
        if here.get(name) != before.get(name)
        and there.get(name) != before.get(name)
        and here.get(name) != there.get(name)
    ]
    result = three_way(before, here, there)
    assert sorted(result.conflicts) == sorted(f"Goal.{name}" for name in differing)
    if not differing:
        assert result.here == result.there


def test_in_lists_nothing_that_either_side_added_is_lost() -> None:
    tally = Tally("lists changed on both sides without a conflict")

    @given(LISTS, LISTS, LISTS)
    def law(before: Any, here: Any, there: Any) -> None:
        result = three_way({"note": before}, {"note": here}, {"note": there})
        if tally.counted(None if result.conflicts else result) is None:
            return
        kept = result.here.get("note", [])
        added = [item for item in here + there if item not in before]
        removed = [item for item in before if item not in here or item not in there]
        assert all(item in kept for item in added)
        assert not any(item in kept for item in removed)
        assert sorted(map(str, kept)) == sorted(map(str, result.there.get("note", [])))

    law()
    tally.require(0.4)


def test_what_was_added_there_follows_here_what_it_followed_there() -> None:
    a, b, c, d = ({"text": word} for word in "abcd")
    result = three_way({"note": [a, b]}, {"note": [a, b, c]}, {"note": [d, a, b]})
    assert result.here["note"] == [d, a, b, c]
    result = three_way({"note": [a, b]}, {"note": [a, c, b]}, {"note": [a, d, b]})
    assert result.here["note"] == [a, d, c, b]
    assert result.there["note"] == [a, c, d, b]


def test_where_nothing_is_moved_each_side_keeps_the_order_of_its_own_items() -> None:
    tally = Tally("lists to which both sides added without a conflict")

    @given(LISTS, st.sets(st.integers(0, 4)), LISTS, st.integers(0, 5), LISTS, st.integers(0, 5))
    def law(before: Any, removed: set[int], mine: Any, at: int, theirs: Any, there_at: int) -> None:
        here = [item for place, item in enumerate(before) if place not in removed]
        here[at:at] = [item for item in mine if item not in before]
        new_there = [item for item in theirs if item not in before + mine]
        there = [*before[:there_at], *new_there, *before[there_at:]]
        result = three_way({"note": before}, {"note": here}, {"note": there})
        if tally.counted(None if result.conflicts else result) is None:
            return
        for kept, own in ((result.here.get("note", []), here), (result.there.get("note", []), there)):
            assert [item for item in kept if item in own] == [item for item in own if item in kept]

    law()
    tally.require(0.4)
