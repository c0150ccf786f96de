"""Extensions of ours in resources of others: whole, bare, doubled, with what no field of ours reads."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fhir_mappings import codes
from tests.foreign_values import PRIMITIVES

Tree = dict[str, Any]

_TEXTS = st.sampled_from(PRIMITIVES["string"])
_DATES = st.sampled_from(PRIMITIVES["date"])
_FOREIGN = st.fixed_dictionaries({"url": st.just("http://example.org/x"), "valueString": _TEXTS})


def _valued(url: str, name: str, values: SearchStrategy[Any]) -> SearchStrategy[Tree]:
    """An extension with one value, at times with an id of its own."""
    return st.fixed_dictionaries(
        {"url": st.just(url), name: values}, optional={"id": st.sampled_from(["v1", "v2"])}
    )


def _with_parts(url: str, *parts: SearchStrategy[Tree]) -> SearchStrategy[Tree]:
    """An extension that is made of others: at least one, in any order, foreign ones among them."""
    some = st.lists(st.one_of(*parts, _FOREIGN), min_size=1, max_size=4, unique_by=_content)
    return st.fixed_dictionaries(
        {"url": st.just(url), "extension": some}, optional={"id": st.sampled_from(["e1", "e2"])}
    )


def _content(extension: Tree) -> str:
    # Where the same is said twice, what reads the first finds the second when the first is gone.
    return str(sorted((name, str(value)) for name, value in extension.items() if name != "id"))


#: By resource type, where there are any.
OF_TYPE: dict[str, SearchStrategy[Tree]] = {
    "Goal": st.one_of(
        _valued(codes.WHY_IT_MATTERS, "valueString", _TEXTS),
        _with_parts(
            codes.MILESTONE,
            _valued("statement", "valueString", _TEXTS),
            _valued("due", "valueDate", _DATES),
            _valued("reached", "valueDate", _DATES),
        ),
    ),
    "CarePlan": _with_parts(
        codes.SEEK_HELP, _valued("when", "valueString", _TEXTS), _valued("why", "valueString", _TEXTS)
    ),
    "ServiceRequest": _valued(
        codes.PERTAINS_TO_GOAL,
        "valueReference",
        st.fixed_dictionaries(
            {"reference": st.sampled_from(["Goal/1", "Goal/2"])}, optional={"display": _TEXTS}
        ),
    ),
}


def among(trees: SearchStrategy[Tree], resource_type: str) -> SearchStrategy[Tree]:
    """The resources, with extensions of ours among their own."""
    ours = OF_TYPE.get(resource_type, _FOREIGN)
    return st.tuples(trees, st.lists(ours, max_size=3, unique_by=_content), st.randoms()).map(_mixed)


def _mixed(drawn: tuple[Tree, list[Tree], Any]) -> Tree:
    tree, ours, dice = drawn
    extensions = [*tree.get("extension", []), *ours]
    dice.shuffle(extensions)
    return {**tree, "extension": extensions} if extensions else tree
