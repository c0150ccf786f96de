"""The invariants of a Questionnaire (https://hl7.org/fhir/R4/questionnaire.html), by their keys there."""

from collections.abc import Iterator
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.r4.shapes import Rule, words

Node = dict[str, Any]

_CHOOSES = words("choice open-choice decimal integer date dateTime time string quantity")
_HAS_LENGTH = words("boolean decimal integer string text url open-choice")


def _has(node: Node, name: str) -> bool:
    return name in node or f"_{name}" in node


def _link_ids(node: Any) -> Iterator[str]:
    items = node.get("item") if isinstance(node, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            if isinstance(item.get("linkId"), str):
                yield item["linkId"]
            yield from _link_ids(item)


def _distinct(node: Node, path: str) -> Iterator[Finding]:
    link_ids = list(_link_ids(node))
    if len(set(link_ids)) != len(link_ids):
        yield Finding(path, "has the same linkId in more than one item (que-2)", "invariant")


def _broken(node: Node) -> Iterator[tuple[str, str, str]]:
    """Yield element, problem and key of each invariant that an item breaks."""
    kind = node.get("type")
    if not isinstance(kind, str):
        return
    if kind == "group" and not _has(node, "item"):
        yield "item", "is required in a group", "que-1"
    if kind == "display":
        for name, key in (
            ("item", "que-1"),
            ("code", "que-3"),
            ("required", "que-6"),
            ("repeats", "que-6"),
            ("readOnly", "que-9"),
        ):
            if _has(node, name):
                yield name, "is not allowed in a display item", key
    if kind in ("group", "display") and _has(node, "initial"):
        yield "initial", "is not allowed in a group or display item", "que-8"
    if kind not in _CHOOSES:
        for name in ("answerOption", "answerValueSet"):
            if _has(node, name):
                yield name, "is not allowed for this type of item", "que-5"
    if kind not in _HAS_LENGTH and _has(node, "maxLength"):
        yield "maxLength", "is not allowed for this type of item", "que-10"


def _item(node: Node, path: str) -> Iterator[Finding]:
    for name, problem, key in _broken(node):
        yield Finding(f"{path}.{name}", f"{problem} ({key})", "invariant")
    if _has(node, "answerOption") and _has(node, "answerValueSet"):
        yield Finding(
            path, "has answerOption and answerValueSet, of which it may have one (que-4)", "invariant"
        )
    if _has(node, "answerOption") and _has(node, "initial"):
        yield Finding(f"{path}.initial", "is not allowed beside answerOption (que-11)", "invariant")
    conditions, initial = node.get("enableWhen"), node.get("initial")
    # The expression says more than two, the text of the rule more than one: what both forbid is refused.
    if isinstance(conditions, list) and len(conditions) > 2 and not _has(node, "enableBehavior"):
        yield Finding(f"{path}.enableBehavior", "is required with several conditions (que-12)", "invariant")
    if isinstance(initial, list) and len(initial) > 1 and node.get("repeats") is not True:
        yield Finding(f"{path}.initial", "may be several only where the item repeats (que-13)", "invariant")


def _condition(node: Node, path: str) -> Iterator[Finding]:
    if node.get("operator") == "exists" and not _has(node, "answerBoolean"):
        yield Finding(path, "asks whether there is an answer and needs answerBoolean (que-7)", "invariant")


RULES: dict[str, tuple[Rule, ...]] = {
    "Questionnaire": (_distinct,),
    "QuestionnaireItem": (_item,),
    "QuestionnaireItemEnableWhen": (_condition,),
}
