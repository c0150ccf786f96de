"""Strategies for resources that others wrote: valid R4, with every element and oddity that R4 allows.

They are built from the same compiled definitions that the guard walks with, so no element is forgotten;
whether those definitions are right is what a real server says (test_r4_hapi.py).
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fhir_mappings.r4.guard import shape_of
from fhir_mappings.r4.shapes import Member, Shape
from tests.foreign_values import ANY_VALUE, CODES, CONTAINED, DIVS, PRIMITIVES, UNITS

T = TypeVar("T")

Tree = dict[str, Any]

#: Elements with parts that one example may hold; more would only be slower.
_BUDGET = 60


class _Writer:
    """Writes one foreign resource; every decision is a roll of the dice, where 0 is the simplest."""

    def __init__(self, dice: Random, *, modifiers: bool) -> None:
        self._dice = dice
        self._modifiers = modifiers
        self._budget = _BUDGET
        self._ids = 0
        self.name = ""
        self._contained: list[Tree] = []

    def resource(self, name: str) -> Tree:
        self.name = name
        shape = shape_of(name)
        tree: Tree = {"resourceType": name}
        if self.likely(70):
            tree["id"] = self._pick(PRIMITIVES["id"])
        tree |= self._members(shape, depth=0)
        if self.likely(10):
            # Nothing refers to it, but it refers to its container.
            self._contain({"resourceType": "Basic", "code": {"text": "aside"}, "subject": {"reference": "#"}})
        used = str(tree)
        # A repair may have taken away what referred to it.
        contained = [
            one for one in self._contained if f"#{one['id']}'" in used or one["resourceType"] == "Basic"
        ]
        return tree | {"contained": contained} if contained else tree

    def likely(self, percent: int) -> bool:
        return self._dice.randrange(100) >= 100 - percent

    def _pick(self, values: Sequence[T]) -> T:
        return values[self._dice.randrange(len(values))]

    def _new_id(self, stem: str) -> str:
        self._ids += 1
        return f"{stem}{self._ids}"

    def _contain(self, resource: Tree) -> str:
        own_id = self._new_id("c")
        # A copy, so that who changes an example changes no other.
        self._contained.append({"resourceType": resource["resourceType"], "id": own_id} | deepcopy(resource))
        return own_id

    def _members(self, shape: Shape, depth: int) -> Tree:
        chosen = self._chosen(shape, depth)
        node: Tree = {}
        for name in chosen:
            self._put(node, name, shape, depth)
        if depth and node and self.likely(8):
            node["id"] = self._new_id("e")
        if self.likely(10) and self._budget > 0:
            node["extension"] = self._extensions()
        if self._modifiers and "modifierExtension" in shape.members and self.likely(15):
            node["modifierExtension"] = [self._extension(nested=False)]
        repair = _REPAIRS.get(shape.name)
        if repair:
            repair(self, node)
        return node

    def _chosen(self, shape: Shape, depth: int) -> list[str]:
        """Names of the members to write: all required, some others, one of each choice."""
        stems = {name: stem for stem, names, _ in shape.choices for name in names}
        required = list(shape.required)
        required += [
            self._pick(sorted(n for n in names if self._fits(shape.members[n], depth)))
            for _, names, must in shape.choices
            if must
        ]
        others = [
            name
            for name, member in shape.members.items()
            if name not in _APART and name not in required and self._fits(member, depth)
        ]
        most = 9 if depth == 0 else 3 if self._budget > 0 else 1
        count = self._dice.randrange(most + 1)
        if not required and not count:
            count = 1
        names = required + self._dice.sample(others, min(count, len(others)))
        taken: set[str] = set()
        chosen = []
        for name in names:
            stem = stems.get(name, name)
            if stem not in taken:
                taken.add(stem)
                chosen.append(name)
        order = list(shape.members)
        return sorted(chosen, key=order.index)

    def _fits(self, member: Member, depth: int) -> bool:
        if member.check is not None:
            return True
        return (depth < 5 and self._budget > 0) or member.type_name in _SHALLOW

    def _put(self, node: Tree, name: str, shape: Shape, depth: int) -> None:
        member = shape.members[name]
        if name == "implicitRules" and not self._modifiers:
            return
        if member.check is not None:
            self._put_primitive(node, name, shape, member)
        elif member.many:
            count = 1 + (self._dice.randrange(3) if self._budget > 0 else 0)
            node[name] = [self._value(member, depth) for _ in range(count)]
        else:
            node[name] = self._value(member, depth)

    def _put_primitive(self, node: Tree, name: str, shape: Shape, member: Member) -> None:
        if not member.many:
            has_sibling = member.has_sibling and self._budget > 0 and self.likely(10)
            if not has_sibling or self.likely(60):
                node[name] = self._primitive(shape, name, member)
            if has_sibling:
                node[f"_{name}"] = self._sibling(has_value=name in node)
            return
        values = [self._primitive(shape, name, member) for _ in range(1 + self._dice.randrange(3))]
        if self._budget > 0 and self.likely(25):
            siblings = [self._sibling(has_value=True) if self.likely(50) else None for _ in values]
            hidden = [
                sibling is not None and "extension" in sibling and self.likely(40) for sibling in siblings
            ]
            node[f"_{name}"] = siblings
            if not any(siblings):
                siblings[0] = self._sibling(has_value=True)
            values = [None if hide else value for hide, value in zip(hidden, values, strict=True)]
            if not any(value is not None for value in values):
                return
        node[name] = values

    def _sibling(self, *, has_value: bool) -> Tree:
        if has_value and self.likely(20):
            return {"id": self._new_id("p")}
        return {"extension": self._extensions()}

    def _primitive(self, shape: Shape, name: str, member: Member) -> Any:
        if member.codes:
            return self._pick(sorted(member.codes))
        codes = CODES.get(name) if member.type_name == "code" else None
        return self._pick(codes or PRIMITIVES[member.type_name])

    def _value(self, member: Member, depth: int) -> Any:
        self._budget -= 1
        made = _BUILDERS.get(member.type_name)
        if member.type_name == "Reference":
            return self._reference(member.targets)
        if made:
            return made(self)
        return self._members(shape_of(member.type_name), depth + 1)

    def _extensions(self) -> list[Tree]:
        return [self._extension(nested=True) for _ in range(1 + self._dice.randrange(2))]

    def _extension(self, *, nested: bool) -> Tree:
        self._budget -= 1
        extension: Tree = {"url": f"http://example.org/fhir/StructureDefinition/x{self._dice.randrange(4)}"}
        if self.likely(8):
            extension["id"] = self._new_id("x")
        if nested and self._budget > 0 and self.likely(20):
            extension["extension"] = [
                {"url": f"part{part}"} | self._extension_value()
                for part in range(1 + self._dice.randrange(2))
            ]
            return extension
        return extension | self._extension_value()

    def _extension_value(self) -> Tree:
        shape = shape_of("Extension")
        if self._budget > 0 and self.likely(40):
            name = self._pick(ANY_VALUE)
            member = shape.members[f"value{name}"]
            return {f"value{name}": self._value(member, depth=4)}
        primitives = [name for name, m in shape.members.items() if name.startswith("value") and m.check]
        name = self._pick(primitives)
        return {name: self._primitive(shape, name, shape.members[name])}

    def _reference(self, targets: frozenset[str] | None) -> Tree:
        allowed = sorted(targets) if targets else ["Patient", "Observation", "Goal"]
        target = self._pick(allowed)
        reference: Tree = {}
        kind = self._dice.randrange(8)
        if kind <= 2:
            reference["reference"] = f"{target}/{self._pick(PRIMITIVES['id'])}"
        elif kind == 3:
            reference["reference"] = f"https://ehr.example.org/fhir/{target}/{self._pick(PRIMITIVES['id'])}"
        elif kind == 4:
            reference["reference"] = f"{target}/77/_history/3"
        elif kind == 5 and target in CONTAINED and len(self._contained) < 4:
            reference["reference"] = "#" + self._contain({"resourceType": target} | CONTAINED[target])
        elif kind == 6:
            reference["display"] = self._pick(PRIMITIVES["string"])
        else:
            reference["identifier"] = {"system": "urn:example:ids", "value": self._pick(PRIMITIVES["string"])}
            reference["type"] = target
        if self.likely(20):
            reference["display"] = self._pick(PRIMITIVES["string"])
        if self.likely(10):
            reference["type"] = target
        if self.likely(8) and self._budget > 0:
            reference["extension"] = self._extensions()
        if self.likely(5):
            reference["id"] = self._new_id("r")
        return reference

    def quantity(self, *, comparator: bool = True) -> Tree:
        quantity: Tree = {"value": self._pick(PRIMITIVES["decimal"])}
        if self.likely(60):
            quantity |= self._pick(UNITS)
        if comparator and self.likely(20):
            quantity["comparator"] = self._pick(["<", "<=", ">=", ">"])
        if self.likely(10) and self._budget > 0:
            quantity["extension"] = self._extensions()
        return quantity

    def simple_quantity(self) -> Tree:
        return self.quantity(comparator=False)

    def duration(self) -> Tree:
        return {"value": self._pick([1, 6, 12]), "unit": "wk", "system": _UCUM, "code": "wk"}

    def range(self) -> Tree:
        low = {"value": self._pick([0, 1, 2]), "unit": "km"}
        high = {"value": self._pick([3, 40]), "unit": "km"}
        return self._pick([{"low": low, "high": high}, {"low": low}, {"high": high}])

    def ratio(self) -> Tree:
        return {"numerator": self.quantity(), "denominator": self.simple_quantity()}

    def period(self) -> Tree:
        start = self._pick(
            ["2024", "2024-02", "2024-02-29", "2016-12-31T23:59:60Z", "2024-03-01T08:00:00.5+02:00"]
        )
        end = self._pick(["2025", "2025-02", "2025-02-28", "2025-07-01T00:00:00-11:00"])
        return self._pick([{"start": start, "end": end}, {"start": start}, {"end": end}])

    def narrative(self) -> Tree:
        return {
            "status": self._pick(["generated", "additional", "extensions"]),
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{self._pick(DIVS)}</div>',
        }

    def attachment(self) -> Tree:
        return self._pick(
            [
                {"contentType": "text/plain", "data": "aGVsbG8=", "title": "hello"},
                {"url": "http://example.org/picture.png", "contentType": "image/png", "size": 12},
                {"title": "not here", "creation": "2024-05"},
            ]
        )

    def repeat_rule(self) -> Tree:
        """A Timing.repeat; its parts hang together too closely for chance."""
        rule = deepcopy(self._pick(_REPEATS))
        if self.likely(40):
            rule |= self._pick([{"boundsPeriod": self.period()}, {"boundsDuration": self.duration()}])
        return rule

    def resolved(self, node: Tree, *alternatives: str) -> None:
        """Keep one of several members that R4 lets stand alone."""
        present = [name for name in alternatives if name in node or f"_{name}" in node]
        if len(present) > 1:
            for name in present[self._dice.randrange(len(present)) :][1:] or present[1:]:
                node.pop(name, None)
                node.pop(f"_{name}", None)
            self.resolved(node, *alternatives)

    def question(self) -> str:
        return str(self._pick(["1", "1.1", "2", "group/a", "pain-now"]))


_UCUM = "http://unitsofmeasure.org"
#: Written by other means than as a plain member.
_APART = frozenset({"id", "extension", "modifierExtension", "contained", "resourceType"})
#: Types that end soon by themselves.
_SHALLOW = frozenset(
    {"Reference", "Quantity", "Range", "Period", "Duration", "Ratio", "Attachment", "Narrative"}
)

_REPEATS: list[Tree] = [
    {"frequency": 3, "period": 1, "periodUnit": "wk"},
    {
        "frequency": 1,
        "frequencyMax": 2,
        "period": 1,
        "periodMax": 2,
        "periodUnit": "d",
        "timeOfDay": ["08:00:00"],
    },
    {"when": ["MORN", "PCV"], "offset": 30},
    {"count": 10, "countMax": 12, "duration": 20, "durationMax": 30, "durationUnit": "min"},
    {"dayOfWeek": ["mon", "thu"]},
]

_BUILDERS: dict[str, Callable[[_Writer], Tree]] = {
    "Quantity": _Writer.quantity,
    "Duration": _Writer.duration,
    "Age": lambda writer: {"value": 61, "unit": "a", "system": _UCUM, "code": "a"},
    "Count": lambda writer: {"value": 3, "system": _UCUM, "code": "1"},
    "Distance": lambda writer: {"value": 2, "unit": "km", "system": _UCUM, "code": "km"},
    "Range": _Writer.range,
    "Ratio": _Writer.ratio,
    "Period": _Writer.period,
    "Narrative": _Writer.narrative,
    "Attachment": _Writer.attachment,
    "TimingRepeat": _Writer.repeat_rule,
}


def _mend_target(writer: _Writer, node: Tree) -> None:
    if any(key.lstrip("_").startswith("detail") for key in node):
        node.setdefault("measure", {"text": "how far"})


def _mend_order(writer: _Writer, node: Tree) -> None:
    if "orderDetail" in node:
        node.setdefault("code", {"text": "exercise"})


def _mend_activity(writer: _Writer, node: Tree) -> None:
    writer.resolved(node, "detail", "reference")


def _mend_detail(writer: _Writer, node: Tree) -> None:
    for name in ("dailyAmount", "quantity"):
        if name in node:
            node[name] = writer.simple_quantity()


def _mend_item(writer: _Writer, node: Tree) -> None:
    if "linkId" in node:
        node["linkId"] = writer.question()
    writer.resolved(node, "answer", "item")


def _mend_contact(writer: _Writer, node: Tree) -> None:
    if "value" in node or "_value" in node:
        node.setdefault("system", "phone")


def _mend_meta(writer: _Writer, node: Tree) -> None:
    if "profile" in node:
        node["profile"] = [f"http://hl7.org/fhir/StructureDefinition/{writer.name}"]
        node.pop("_profile", None)
    for name in ("security", "tag"):
        # A label without system and code could not be told from another one.
        node.pop(name, None)
        if writer.likely(30) or not node.keys() - {"id"}:
            node[name] = [{"system": "http://example.org/labels", "code": "a", "display": "A"}]


_REPAIRS: dict[str, Callable[[_Writer, Tree], None]] = {
    "CarePlanActivity": _mend_activity,
    "CarePlanActivityDetail": _mend_detail,
    "ContactPoint": _mend_contact,
    "GoalTarget": _mend_target,
    "Meta": _mend_meta,
    "QuestionnaireResponseItem": _mend_item,
    "ServiceRequest": _mend_order,
}


def _compile(name: str, seen: set[str]) -> None:
    """Have the definitions ready before the first draw: hypothesis takes slow draws for a fault."""
    if name not in seen:
        seen.add(name)
        for member in shape_of(name).members.values():
            if member.check is None and member.type_name != "Resource":
                _compile(member.type_name, seen)


def of_type(name: str, modifiers: bool) -> SearchStrategy[Tree]:
    _compile(name, set())
    return st.randoms(use_true_random=False).map(
        lambda dice: _Writer(dice, modifiers=modifiers).resource(name)
    )


def goals(*, modifiers: bool = False) -> SearchStrategy[Tree]:
    """Foreign Goals. modifiers: whether with modifierExtension and implicitRules at times."""
    return of_type("Goal", modifiers)


def care_plans(*, modifiers: bool = False) -> SearchStrategy[Tree]:
    return of_type("CarePlan", modifiers)


def service_requests(*, modifiers: bool = False) -> SearchStrategy[Tree]:
    return of_type("ServiceRequest", modifiers)


def questionnaire_responses(*, modifiers: bool = False) -> SearchStrategy[Tree]:
    return of_type("QuestionnaireResponse", modifiers)


#: By resource type, for every kind of record that we have words for.
STRATEGIES = {
    "Goal": goals,
    "CarePlan": care_plans,
    "ServiceRequest": service_requests,
    "QuestionnaireResponse": questionnaire_responses,
}


def resources(*, modifiers: bool = False) -> SearchStrategy[Tree]:
    """Any of them."""
    return st.one_of(*[strategy(modifiers=modifiers) for strategy in STRATEGIES.values()])
