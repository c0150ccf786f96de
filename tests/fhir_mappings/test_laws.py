"""The laws of lenses, over foreign resources: what is not edited survives, what is reported is true."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import exact_json
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Number, Tree
from fhir_mappings.lens import all_leaves
from fhir_mappings.mappings import BY_RESOURCE_TYPE
from fhir_mappings.resource import ResourceMapping
from tests import foreign

MAPPINGS = pytest.mark.parametrize("mapping", BY_RESOURCE_TYPE.values(), ids=list(BY_RESOURCE_TYPE))

STRATEGIES = {
    "Goal": foreign.goals,
    "CarePlan": foreign.care_plans,
    "ServiceRequest": foreign.service_requests,
    "QuestionnaireResponse": foreign.questionnaire_responses,
}

# What the records have a word for, as the specification names it.
WORDS = {
    "Goal": "lifecycleStatus achievementStatus category priority description subject "
    "start(Date|CodeableConcept) target statusDate statusReason expressedBy addresses note outcomeReference",
    "CarePlan": "status intent category title description subject period created author addresses goal "
    "partOf note "
    r"activity\[\d+\]\.(reference|progress|detail\.(kind|code|status|doNotPerform|scheduled\w+|goal|description))",
    "ServiceRequest": r"status intent category code doNotPerform quantity\w+ subject occurrence\w+ "
    r"asNeeded\w+ authoredOn requester performer reasonReference note patientInstruction",
    "QuestionnaireResponse": "questionnaire status subject authored author source item",
}


@MAPPINGS
@given(data=st.data())
def test_an_unedited_record_gives_back_its_original(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    tree = data.draw(STRATEGIES[mapping.resource_type]())
    text = exact_json.dump(tree)
    assert mapping.write(mapping.read(tree), onto=tree) is tree
    assert exact_json.dump(tree) == text


@MAPPINGS
@given(data=st.data())
def test_what_is_written_is_what_is_read_back(mapping: ResourceMapping[Any], data: st.DataObject) -> None:
    tree, other = data.draw(pairs(mapping))
    wanted = mapping.read(other)
    for onto in (None, tree):
        written = written_or_refused(mapping, wanted, onto)
        if written is not None:
            assert mapping.read(written) == wanted
            assert mapping.write(wanted, onto=written) is written


@MAPPINGS
@given(data=st.data())
def test_an_edit_of_one_field_changes_its_element_alone(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    tree, other = data.draw(pairs(mapping))
    record = mapping.read(tree)
    name = data.draw(st.sampled_from(sorted(mapping.fields)))
    wanted = dataclasses.replace(record, **{name: getattr(mapping.read(other), name)})
    written = written_or_refused(mapping, wanted, tree)
    if written is None:
        return
    assert mapping.read(written) == wanted
    own = mapping.fields[name].keys
    siblings = {f"_{key}" for key in own}
    may_differ = own | siblings
    if getattr(wanted, name) != getattr(record, name):
        assert not siblings & written.keys()
    assert {key: value for key, value in written.items() if key not in may_differ} == {
        key: value for key, value in tree.items() if key not in may_differ
    }


@MAPPINGS
@given(data=st.data())
def test_an_edit_within_an_item_leaves_its_other_elements_and_its_neighbours(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    tree, other = data.draw(pairs(mapping))
    field, index, name, value = data.draw(item_edits(mapping, tree, other))
    if field is None:
        return
    items = list(getattr(mapping.read(tree), field))
    items[index] = dataclasses.replace(items[index], **{name: value})
    written = written_or_refused(
        mapping, dataclasses.replace(mapping.read(tree), **{field: tuple(items)}), tree
    )
    if written is None:
        return
    lens: Any = mapping.fields[field]
    before, after = (
        [element for _, element in lens.elements(tree)],
        [element for _, element in lens.elements(written)],
    )
    own = lens.mapping.fields[name].keys
    may_differ = own | {f"_{key}" for key in own}
    for position, (old, new) in enumerate(zip(before, after, strict=True)):
        if position != index:
            assert new == old
        else:
            assert {k: v for k, v in new.items() if k not in may_differ} == {
                k: v for k, v in old.items() if k not in may_differ
            }


@MAPPINGS
@given(data=st.data())
def test_the_loss_report_tells_the_truth(mapping: ResourceMapping[Any], data: st.DataObject) -> None:
    tree = data.draw(STRATEGIES[mapping.resource_type]())
    record, lost = mapping.read(tree), set(mapping.loss(tree))
    for path, altered in alterations(tree):
        reading = read_or_refused(mapping, altered)
        if mapping.resource_type + path in lost:
            assert reading == record, path
        else:
            assert reading != record, path


@MAPPINGS
@given(data=st.data())
def test_nothing_that_records_have_a_word_for_is_lost(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    tree = data.draw(STRATEGIES[mapping.resource_type]())
    words = "|".join(WORDS[mapping.resource_type].split())
    named = re.compile(rf"^{mapping.resource_type}\.({words})\b")
    beside = re.compile(r"[eE]xtension\[|\._\w+\.id$")
    assert [path for path in mapping.loss(tree) if named.match(path) and not beside.search(path)] == []


@MAPPINGS
@given(data=st.data())
def test_an_edit_that_is_taken_back_leaves_the_original(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    # Where a value is replaced whole, what nobody read of it is gone with it; so only values read in full.
    tree, other = data.draw(pairs(mapping))
    record = mapping.read(tree)
    whole = [
        name
        for name, field in mapping.fields.items()
        if not field.shared and fully_read(field, tree) and getattr(record, name) not in (None, ())
    ]
    for name in whole:
        wanted = getattr(mapping.read(other), name)
        if wanted in (None, ()):
            continue
        written = written_or_refused(mapping, dataclasses.replace(record, **{name: wanted}), tree)
        if written is not None:
            assert mapping.write(record, onto=written) == tree


def fully_read(field: Any, tree: Tree) -> bool:
    part = {key: tree[key] for key in tree if key.lstrip("_") in field.keys}
    return set(all_leaves(part, "")) == set(field.leaves(part, ""))


def pairs(mapping: ResourceMapping[Any]) -> st.SearchStrategy[tuple[Tree, Tree]]:
    """Two foreign resources of one type: one to edit, one to take the new values from."""
    trees = STRATEGIES[mapping.resource_type]()
    return st.tuples(trees, trees)


@st.composite
def item_edits(draw: Callable[..., Any], mapping: ResourceMapping[Any], tree: Tree, other: Tree) -> Any:
    """An edit of one field within one item of a list: (list field, index, field, value)."""
    lists = [name for name, field in mapping.fields.items() if hasattr(field, "elements")]
    record, source = mapping.read(tree), mapping.read(other)
    candidates = [name for name in lists if getattr(record, name) and getattr(source, name)]
    if not candidates:
        return None, 0, "", None
    field = draw(st.sampled_from(candidates))
    index = draw(st.integers(0, len(getattr(record, field)) - 1))
    lens: Any = mapping.fields[field]
    # The id is the item's handle: to change it makes another item.
    name = draw(st.sampled_from(sorted(set(lens.mapping.fields) - {"id"})))
    return field, index, name, getattr(draw(st.sampled_from(getattr(source, field))), name)


def written_or_refused(mapping: ResourceMapping[Any], record: Any, onto: Tree | None) -> Tree | None:
    try:
        return mapping.write(record, onto=onto)
    except MappingError:
        return None


def read_or_refused(mapping: ResourceMapping[Any], tree: Tree) -> Any:
    try:
        return mapping.read(tree)
    except MappingError:
        return None


def alterations(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield, for every leaf of a tree, its path and the tree with that leaf altered."""
    if isinstance(node, dict):
        for key, member in node.items():
            for below, altered in alterations(member, f"{path}.{key}"):
                yield below, {**node, key: altered}
    elif isinstance(node, list):
        for index, member in enumerate(node):
            for below, altered in alterations(member, f"{path}[{index}]"):
                yield below, [*node[:index], altered, *node[index + 1 :]]
    elif node is not None:
        yield path, altered_leaf(node)


def altered_leaf(leaf: Any) -> Any:
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, str):
        return leaf + "x"
    return Number("8191.25") if isinstance(leaf, Number) else leaf + 1
