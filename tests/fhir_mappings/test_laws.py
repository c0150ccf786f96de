"""The laws of lenses, over foreign resources: what is not edited survives, what is reported is true."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Set
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings import exact_json
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Number, Tree
from fhir_mappings.lens.mapping import all_leaves
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.resources import BY_RESOURCE_TYPE
from tests import foreign, own_extensions
from tests.tally import Tally

MAPPINGS = pytest.mark.parametrize("mapping", BY_RESOURCE_TYPE.values(), ids=list(BY_RESOURCE_TYPE))

TREES = {
    resource_type: own_extensions.among(strategy(), resource_type)
    for resource_type, strategy in foreign.STRATEGIES.items()
}

#: Those that have items.
WITH_ITEMS = [
    resource_type
    for resource_type, mapping in BY_RESOURCE_TYPE.items()
    if any(hasattr(field, "elements") for field in mapping.fields.values())
]

#: So many resources have some with items among them.
_SEVERAL = 6

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
    tree = data.draw(TREES[mapping.resource_type])
    text = exact_json.dump(tree)
    assert mapping.write(mapping.read(tree), onto=tree) is tree
    assert exact_json.dump(tree) == text


@MAPPINGS
def test_what_is_written_is_what_is_read_back(mapping: ResourceMapping[Any]) -> None:
    anew, over = Tally("writing a record anew"), Tally("writing a record onto another's resource")

    @given(pairs(mapping))
    def law(pair: tuple[Tree, Tree]) -> None:
        tree, other = pair
        wanted = mapping.read(other)
        for onto, tally in ((None, anew), (tree, over)):
            written = tally.counted(written_or_refused(mapping, wanted, onto))
            if written is not None:
                assert mapping.read(written) == wanted
                assert mapping.write(wanted, onto=written) is written

    law()
    anew.require(0.8)
    over.require(0.8)


@MAPPINGS
def test_an_edit_of_one_field_changes_its_element_alone(mapping: ResourceMapping[Any]) -> None:
    found, taken = Tally("resources that read differently"), Tally("edits of one field")

    @given(field_edits(mapping))
    def law(edit: tuple[Tree, str, Any] | None) -> None:
        if found.counted(edit) is None or edit is None:
            return
        tree, name, value = edit
        wanted = dataclasses.replace(mapping.read(tree), **{name: value})
        written = taken.counted(written_or_refused(mapping, wanted, tree))
        if written is None:
            return
        assert mapping.read(written) == wanted
        own = mapping.fields[name].keys
        siblings = {f"_{key}" for key in own}
        assert not siblings & written.keys()
        assert _without(written, own | siblings) == _without(tree, own | siblings)

    law()
    found.require(0.5)
    taken.require(0.8)


@pytest.mark.parametrize("resource_type", WITH_ITEMS)
def test_an_edit_within_an_item_leaves_its_other_elements_and_its_neighbours(resource_type: str) -> None:
    mapping = BY_RESOURCE_TYPE[resource_type]
    found, taken = Tally("resources whose items differ"), Tally("edits within an item")

    @given(item_edits(mapping))
    def law(edit: tuple[Tree, str, int, str, Any] | None) -> None:
        if found.counted(edit) is None or edit is None:
            return
        tree, field, index, name, value = edit
        record = mapping.read(tree)
        items = list(getattr(record, field))
        items[index] = dataclasses.replace(items[index], **{name: value})
        wanted = dataclasses.replace(record, **{field: tuple(items)})
        written = taken.counted(written_or_refused(mapping, wanted, tree))
        if written is None:
            return
        assert mapping.read(written) == wanted
        lens: Any = mapping.fields[field]
        own = lens.mapping.fields[name].keys
        own = own | {f"_{key}" for key in own}
        elements = zip(lens.elements(tree), lens.elements(written), strict=True)
        for position, ((_, old), (_, new)) in enumerate(elements):
            if position != index:
                assert new == old
            else:
                assert _without(new, own) == _without(old, own)

    law()
    found.require(0.3)
    taken.require(0.8)


@MAPPINGS
def test_the_loss_report_tells_the_truth(mapping: ResourceMapping[Any]) -> None:
    tally = Tally("readings of an altered resource")

    @given(TREES[mapping.resource_type])
    def law(tree: Tree) -> None:
        record, lost = mapping.read(tree), set(mapping.loss(tree))
        for path, altered in alterations(tree):
            reading = tally.counted(read_or_refused(mapping, altered))
            if mapping.resource_type + path in lost:
                assert reading == record, path
            else:
                assert reading != record, path

    law()
    tally.require(0.6)


@MAPPINGS
@given(data=st.data())
def test_nothing_that_records_have_a_word_for_is_lost(
    mapping: ResourceMapping[Any], data: st.DataObject
) -> None:
    tree = data.draw(TREES[mapping.resource_type])
    words = "|".join(WORDS[mapping.resource_type].split())
    named = re.compile(rf"^{mapping.resource_type}\.({words})\b")
    beside = re.compile(r"[eE]xtension\[|\._\w+\.id$")
    assert [path for path in mapping.loss(tree) if named.match(path) and not beside.search(path)] == []


@MAPPINGS
def test_an_edit_that_is_taken_back_leaves_the_original(mapping: ResourceMapping[Any]) -> None:
    tally = Tally("edits that are taken back")

    # Where a value is replaced whole, what nobody read of it is gone with it; so only values read in full.
    @given(pairs(mapping))
    def law(pair: tuple[Tree, Tree]) -> None:
        tree, other = pair
        record, source = mapping.read(tree), mapping.read(other)
        for name, field in mapping.fields.items():
            before, wanted = getattr(record, name), getattr(source, name)
            if (
                field.shared
                or not fully_read(field, tree)
                or None in (before, wanted)
                or () in (before, wanted)
            ):
                continue
            if before == wanted:
                continue
            edited = dataclasses.replace(record, **{name: wanted})
            written = tally.counted(written_or_refused(mapping, edited, tree))
            if written is not None:
                assert mapping.write(record, onto=written) == tree

    law()
    tally.require(0.8)


def fully_read(field: Any, tree: Tree) -> bool:
    part = {key: tree[key] for key in tree if key.lstrip("_") in field.keys}
    return set(all_leaves(part, "")) == set(field.leaves(part, ""))


def pairs(mapping: ResourceMapping[Any]) -> st.SearchStrategy[tuple[Tree, Tree]]:
    """Two foreign resources of one type: one to edit, one to take the new values from."""
    trees = TREES[mapping.resource_type]
    return st.tuples(trees, trees)


@st.composite
def field_edits(draw: Callable[..., Any], mapping: ResourceMapping[Any]) -> tuple[Tree, str, Any] | None:
    """A resource, a field, and another value of it; None where both resources read alike."""
    tree, other = draw(pairs(mapping))
    record, source = mapping.read(tree), mapping.read(other)
    names = [name for name in mapping.fields if getattr(record, name) != getattr(source, name)]
    if not names:
        return None
    name = draw(st.sampled_from(names))
    return tree, name, getattr(source, name)


@st.composite
def item_edits(
    draw: Callable[..., Any], mapping: ResourceMapping[Any]
) -> tuple[Tree, str, int, str, Any] | None:
    """A resource with items, and another value of a field of one: (tree, list, index, field, value).

    None where no resource of several has items that differ.
    """
    trees = draw(st.lists(TREES[mapping.resource_type], min_size=_SEVERAL, max_size=_SEVERAL))
    lists: dict[str, Any] = {n: field for n, field in mapping.fields.items() if hasattr(field, "elements")}
    records = [mapping.read(tree) for tree in trees]
    edits = [
        (tree, field, index, name, getattr(other, name))
        for field, lens in lists.items()
        for others in [[item for record in records for item in getattr(record, field)]]
        for tree, record in zip(trees, records, strict=True)
        for index, item in enumerate(getattr(record, field))
        for other in others
        # The id is the item's handle: to change it makes another item.
        for name in lens.mapping.fields.keys() - {"id"}
        if getattr(item, name) != getattr(other, name)
    ]
    return draw(st.sampled_from(edits)) if edits else None


def _without(tree: Tree, keys: Set[str]) -> Tree:
    return {key: value for key, value in tree.items() if key not in keys}


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
