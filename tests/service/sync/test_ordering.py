"""What is referred to goes first, and circles go together."""

from hypothesis import given
from hypothesis import strategies as st

from service.sync.ordering import in_order

NODES = st.integers(0, 9)
GRAPHS = st.dictionaries(NODES, st.lists(NODES, max_size=4), max_size=10)


def test_a_plan_follows_its_goals_and_activities() -> None:
    groups = in_order({"plan": ["goal", "activity"], "activity": ["goal"], "goal": []})
    assert groups == [["goal"], ["activity"], ["plan"]]


def test_a_circle_is_one_group() -> None:
    groups = in_order({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
    assert [sorted(group) for group in groups] == [["a", "b", "c"], ["d"]]


def test_a_chain_as_long_as_a_run_needs_no_stack() -> None:
    chain = {number: [number + 1] for number in range(20_000)}
    assert in_order(chain)[0] == [19_999]


@given(GRAPHS)
def test_nothing_is_lost_and_nothing_precedes_what_it_refers_to(graph: dict[int, list[int]]) -> None:
    groups = in_order(graph)
    place = {node: index for index, group in enumerate(groups) for node in group}
    assert sorted(place) == sorted(graph)
    assert sum(map(len, groups)) == len(graph)
    assert all(place[target] <= place[node] for node in graph for target in graph[node] if target in graph)
