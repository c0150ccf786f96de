"""The invariants of R4 on our resources and the datatypes in them, each by its key in the specification."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.r4.primitives import CHECKS
from fhir_mappings.r4.shapes import Rule

Node = dict[str, Any]

_UCUM = "http://unitsofmeasure.org"
_DAY_SECONDS = 86400
#: The farthest that a time zone lies from UTC: a date alone may begin this much earlier or later.
_ZONE_SECONDS = 14 * 3600


def _has(node: Node, name: str) -> bool:
    # A primitive given by its sibling alone exists too.
    return name in node or f"_{name}" in node


def _has_choice(node: Node, stem: str) -> bool:
    start = len(stem)
    return any(
        key.lstrip("_").startswith(stem) and key.lstrip("_")[start : start + 1].isupper() for key in node
    )


def _broken(path: str, problem: str) -> Finding:
    return Finding(path, problem, "invariant")


def _needs(name: str, other: str, key: str) -> Rule:
    """Make the rule that an element may only be there together with another."""

    def rule(node: Node, path: str) -> Iterator[Finding]:
        if _has(node, name) and not _has(node, other):
            yield _broken(f"{path}.{name}", f"needs {other} beside it ({key})")

    return rule


def _not_both(name: str, other: str, key: str) -> Rule:
    def rule(node: Node, path: str) -> Iterator[Finding]:
        if _has(node, name) and _has(node, other):
            yield _broken(path, f"has {name} and {other}, of which it may have one ({key})")

    return rule


def _one_of(name: str, other: str, key: str) -> Rule:
    def rule(node: Node, path: str) -> Iterator[Finding]:
        if _has(node, name) == _has(node, other):
            yield _broken(path, f"must have either {name} or {other} ({key})")

    return rule


def _not_negative(name: str, key: str) -> Rule:
    def rule(node: Node, path: str) -> Iterator[Finding]:
        number = _number(node.get(name))
        if number is not None and number < 0:
            yield _broken(f"{path}.{name}", f"must not be negative ({key})")

    return rule


def _plain_quantity(*names: str) -> Rule:
    def rule(node: Node, path: str) -> Iterator[Finding]:
        for name in names:
            quantity = node.get(name)
            if isinstance(quantity, dict) and _has(quantity, "comparator"):
                yield _broken(f"{path}.{name}.comparator", "is not allowed in a simple quantity (sqty-1)")

    return rule


def _number(value: Any) -> Decimal | int | float | None:
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _extension(node: Node, path: str) -> Iterator[Finding]:
    if ("extension" in node) == _has_choice(node, "value"):
        yield _broken(path, "must have either a value or extensions (ext-1)")


def _goal_target(node: Node, path: str) -> Iterator[Finding]:
    if _has_choice(node, "detail") and "measure" not in node:
        yield _broken(path, "has a detail without the measure that it is a value of (gol-1)")


def _range(node: Node, path: str) -> Iterator[Finding]:
    low, high = node.get("low"), node.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return
    least, most = _number(low.get("value")), _number(high.get("value"))
    same_unit = all(low.get(name) == high.get(name) for name in ("system", "code", "unit"))
    if least is not None and most is not None and same_unit and least > most:
        yield _broken(path, "has a low end above its high end (rng-2)")


def _ratio(node: Node, path: str) -> Iterator[Finding]:
    if _has(node, "numerator") != _has(node, "denominator"):
        yield _broken(path, "must have both numerator and denominator, or none (rat-1)")
    elif not _has(node, "numerator") and "extension" not in node:
        yield _broken(path, "must have numerator and denominator, or an extension (rat-1)")


def _coded_in_ucum(key: str) -> Rule:
    def rule(node: Node, path: str) -> Iterator[Finding]:
        if _has(node, "value") and not _has(node, "code"):
            yield _broken(f"{path}.value", f"needs code beside it ({key})")
        if _has(node, "system") and node.get("system", _UCUM) != _UCUM:
            yield _broken(f"{path}.system", f"must be UCUM ({key})")

    return rule


def _age(node: Node, path: str) -> Iterator[Finding]:
    number = _number(node.get("value"))
    if number is not None and number <= 0:
        yield _broken(f"{path}.value", "must be above zero (age-1)")


def _count(node: Node, path: str) -> Iterator[Finding]:
    if node.get("code", "1") != "1":
        yield _broken(f"{path}.code", "must be 1 (cnt-3)")
    if "." in str(node.get("value", "")):
        yield _broken(f"{path}.value", "must be a whole number (cnt-3)")


def _duration(node: Node, path: str) -> Iterator[Finding]:
    if _has(node, "code") and not (node.get("system") == _UCUM and _has(node, "value")):
        yield _broken(f"{path}.code", "needs a value and the system of UCUM beside it (drt-1)")


def _period(node: Node, path: str) -> Iterator[Finding]:
    start, end = node.get("start"), node.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return
    if any(map(CHECKS["dateTime"], (start, end))):
        # One of them is no date-time, which is said where it stands.
        return
    if "T" not in start and "T" not in end:
        # Of different precision, only what both say can be compared.
        shorter = min(len(start), len(end))
        is_late = start[:shorter] > end[:shorter]
    else:
        is_late = _seconds(start, is_end=False) > _seconds(end, is_end=True)
    if is_late:
        yield _broken(path, "starts after it ends (per-1)")


def _seconds(text: str, *, is_end: bool) -> Decimal:
    """Return the earliest, or as an end the latest, moment that a date-time can mean."""
    day, _, clock = text.partition("T")
    year, month, number = (*(int(part) for part in day.split("-")), 0, 0)[:3]
    if not clock:
        first = date(year, month or 1, number or 1).toordinal()
        # 367 and 32 days reach beyond any year or month: a long end refuses nothing that is valid.
        length = (1 if number else 32 if month else 367) if is_end else 0
        slack = _ZONE_SECONDS if is_end else -_ZONE_SECONDS
        return Decimal((first + length) * _DAY_SECONDS + slack)
    hour, minute, rest = clock[:2], clock[3:5], clock[6:]
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    offset = rest[len(digits) :]
    zone = 0
    if offset not in ("Z", ""):
        zone = (int(offset[1:3]) * 60 + int(offset[4:6])) * (60 if offset[0] == "+" else -60)
    seconds = (
        date(year, month, number).toordinal() * _DAY_SECONDS + int(hour) * 3600 + int(minute) * 60 - zone
    )
    # A leap second is the same moment as the minute's end.
    return Decimal(seconds) + min(Decimal(digits), Decimal(60))


def _timing_offset(node: Node, path: str) -> Iterator[Finding]:
    if not _has(node, "offset"):
        return
    when = node.get("when")
    is_meal = isinstance(when, list) and bool(when) and all(code in ("C", "CM", "CD", "CV") for code in when)
    if not _has(node, "when") or is_meal:
        yield _broken(
            f"{path}.offset", "needs an event to lie before or after, other than a meal itself (tim-9)"
        )


def _patient_contact(node: Node, path: str) -> Iterator[Finding]:
    if not any(_has(node, name) for name in ("name", "telecom", "address", "organization")):
        yield _broken(path, "must have a name, telecom, address or organization (pat-1)")


def _trigger(node: Node, path: str) -> Iterator[Finding]:
    kind = node.get("type")
    if kind == "named-event" and not _has(node, "name"):
        yield _broken(path, "is a named event and needs a name (trd-3)")
    if kind == "periodic" and not _has_choice(node, "timing"):
        yield _broken(path, "is periodic and needs a timing (trd-3)")
    if isinstance(kind, str) and kind.startswith("data-") and not _has(node, "data"):
        yield _broken(path, "is about data and needs to say which (trd-3)")
    if _has(node, "data") and _has_choice(node, "timing"):
        yield _broken(path, "has data and timing, of which it may have one (trd-1)")


def _expression(node: Node, path: str) -> Iterator[Finding]:
    if not _has(node, "expression") and not _has(node, "reference"):
        yield _broken(path, "must have an expression or a reference (exp-1)")


_SYSTEM_OF_CODE = _needs("code", "system", "qty-3")

#: By the name of the type, or of the element that a type is made for.
RULES: dict[str, tuple[Rule, ...]] = {
    "Age": (_SYSTEM_OF_CODE, _coded_in_ucum("age-1"), _age),
    "Attachment": (_needs("data", "contentType", "att-1"),),
    "CarePlanActivity": (_not_both("detail", "reference", "cpl-3"),),
    "CarePlanActivityDetail": (_plain_quantity("dailyAmount", "quantity"),),
    "ContactPoint": (_needs("value", "system", "cpt-2"),),
    "Count": (_SYSTEM_OF_CODE, _coded_in_ucum("cnt-3"), _count),
    "DataRequirementCodeFilter": (_one_of("path", "searchParam", "drq-1"),),
    "DataRequirementDateFilter": (_one_of("path", "searchParam", "drq-2"),),
    "Distance": (_SYSTEM_OF_CODE, _coded_in_ucum("dis-1")),
    "Duration": (_SYSTEM_OF_CODE, _duration),
    "Expression": (_expression,),
    "Extension": (_extension,),
    "GoalTarget": (_goal_target,),
    "PatientContact": (_patient_contact,),
    "Period": (_period,),
    "Quantity": (_SYSTEM_OF_CODE,),
    "QuestionnaireResponseItem": (_not_both("answer", "item", "qrs-1"),),
    "Range": (_plain_quantity("low", "high"), _range),
    "Ratio": (_ratio,),
    "SampledData": (_plain_quantity("origin"),),
    "ServiceRequest": (_needs("orderDetail", "code", "prr-1"),),
    "TimingRepeat": (
        _needs("duration", "durationUnit", "tim-1"),
        _needs("period", "periodUnit", "tim-2"),
        _not_negative("duration", "tim-4"),
        _not_negative("period", "tim-5"),
        _needs("periodMax", "period", "tim-6"),
        _needs("durationMax", "duration", "tim-7"),
        _needs("countMax", "count", "tim-8"),
        _timing_offset,
        _not_both("timeOfDay", "when", "tim-10"),
    ),
    "TriggerDefinition": (_needs("condition", "data", "trd-2"), _trigger),
}
