"""Does an element meet the value of a search parameter? One function per kind of parameter."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from service.sandbox.outcomes import FHIRError

_DATE = re.compile(
    r"(?P<prefix>eq|ne|gt|ge|lt|le|sa|eb|ap)?(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+\- ]\d\d:\d\d)?)?)?)?"
)

Interval = tuple[datetime, datetime]


def token(elements: list[Any], value: str, _modifier: str | None) -> bool:
    """`system|code`, `|code` (no system), `code` (any system), `system|` (any code)."""
    system, bar, code = value.rpartition("|")
    return any(
        (not code or code == found_code) and (not bar or system == (found_system or ""))
        for element in elements
        for found_system, found_code in _tokens(element)
    )


def _tokens(element: Any) -> Iterator[tuple[str | None, str]]:
    if isinstance(element, bool):
        yield None, str(element).lower()
    elif isinstance(element, str):
        yield None, element
    elif isinstance(element, dict) and isinstance(element.get("coding"), list):
        for coding in element["coding"]:
            yield from _tokens(coding)
    elif isinstance(element, dict):
        code = element.get("code", element.get("value"))
        if isinstance(code, str):
            yield element.get("system"), code


def string(elements: list[Any], value: str, modifier: str | None) -> bool:
    """Starts with, whatever the case; `:exact` is the whole text as it is."""
    texts = [text for element in elements for text in _texts(element)]
    if modifier == "exact":
        return value in texts
    return any(text.casefold().startswith(value.casefold()) for text in texts)


def _texts(element: Any) -> Iterator[str]:
    if isinstance(element, str):
        yield element
    elif isinstance(element, list):
        for item in element:
            yield from _texts(item)
    elif isinstance(element, dict):
        for name in ("text", "family", "given", "line", "city"):
            yield from _texts(element.get(name))


def uri(elements: list[Any], value: str, _modifier: str | None) -> bool:
    return value in elements


def reference(elements: list[Any], value: str, modifier: str | None) -> bool:
    """`id`, `Type/id`, an absolute URL, or (canonical) a URL with or without its version."""
    wanted = f"{modifier}/{value}" if modifier and "/" not in value else value
    return any(_refers(element, wanted) for element in elements)


def _refers(element: Any, wanted: str) -> bool:
    found = element.get("reference") if isinstance(element, dict) else element
    if not isinstance(found, str):
        return False
    if found == wanted or ("://" in wanted and found.partition("|")[0] == wanted):
        return True
    return "/" not in wanted and "://" not in found and found.partition("/")[2] == wanted


def date(elements: list[Any], value: str, _modifier: str | None) -> bool:
    """Prefixes compare intervals: a date is the day from its first moment to its last."""
    match = _DATE.fullmatch(value)
    if match is None:
        raise FHIRError(400, "Invalid date/time in a search parameter")
    low, high = _interval(match)
    compare = _COMPARISONS[match["prefix"] or "eq"]
    return any(compare(found, (low, high)) for found in map(_element_interval, elements) if found)


def _element_interval(element: Any) -> Interval | None:
    if isinstance(element, dict):
        start, end = _element_interval(element.get("start")), _element_interval(element.get("end"))
        earliest = start[0] if start else datetime.min.replace(tzinfo=UTC)
        latest = end[1] if end else datetime.max.replace(tzinfo=UTC)
        return (earliest, latest) if start or end else None
    match = _DATE.fullmatch(element) if isinstance(element, str) else None
    return _interval(match) if match else None


def _interval(match: re.Match[str]) -> Interval:
    # A plus that was not escaped in the URL arrives as a space.
    zone = (match["zone"] or "Z").replace(" ", "+").replace("Z", "+00:00")
    day = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
    time = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    try:
        low = datetime.fromisoformat(f"{day}T{time}.{fraction}{zone}")
        return low.astimezone(UTC), (low + _length(low, match)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FHIRError(400, "Invalid date/time in a search parameter") from None


def _length(low: datetime, match: re.Match[str]) -> timedelta:
    if match["fraction"]:
        return timedelta(microseconds=10 ** max(0, 6 - len(match["fraction"])))
    if match["second"]:
        return timedelta(seconds=1)
    if match["hour"]:
        return timedelta(minutes=1)
    if match["day"]:
        return timedelta(days=1)
    if match["month"]:
        return (low.replace(day=28) + timedelta(days=4)).replace(day=1) - low
    return low.replace(year=low.year + 1) - low


# Intervals are half open: the second moment no longer belongs to them.
_COMPARISONS: dict[str, Callable[[Interval, Interval], bool]] = {
    "eq": lambda found, asked: asked[0] <= found[0] and found[1] <= asked[1],
    "ne": lambda found, asked: not (asked[0] <= found[0] and found[1] <= asked[1]),
    "gt": lambda found, asked: found[1] > asked[1],
    "ge": lambda found, asked: found[1] > asked[0],
    "lt": lambda found, asked: found[0] < asked[0],
    "le": lambda found, asked: found[0] < asked[1],
    "sa": lambda found, asked: found[0] >= asked[1],
    "eb": lambda found, asked: found[1] <= asked[0],
    "ap": lambda found, asked: found[1] > asked[0] and found[0] < asked[1],
}

MATCHERS: dict[str, Callable[[list[Any], str, str | None], bool]] = {
    "token": token,
    "string": string,
    "uri": uri,
    "reference": reference,
    "date": date,
}
