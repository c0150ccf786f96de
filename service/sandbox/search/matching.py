"""Do elements meet one of the values of a search parameter? One function per kind of parameter.

Each is given the values once and returns the test, whose time does not grow with their number where it can
look them up.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from service.moments import FIRST, LAST, in_utc, later
from service.sandbox.outcomes import FHIRError

_DATE = re.compile(
    r"(?P<prefix>eq|ne|gt|ge|lt|le|sa|eb|ap)?(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+\- ]\d\d:\d\d)?)?)?)?"
)

Interval = tuple[datetime, datetime]
#: Tells whether any of the elements that a parameter looks at meets any of the values asked for.
Test = Callable[[list[Any]], bool]


def token(values: Sequence[str], _modifier: str | None) -> Test:
    """`system|code`, `|code` (no system), `code` (any system), `system|` (any code)."""
    wanted = {_token(value) for value in values}
    return lambda elements: any(
        not wanted.isdisjoint(((None, None), (None, code), (system, code), (system, None)))
        for element in elements
        for system, code in _tokens(element)
    )


def _token(value: str) -> tuple[str | None, str | None]:
    system, bar, code = value.rpartition("|")
    return system if bar else None, code or None


def _tokens(element: Any) -> Iterator[tuple[str, str]]:
    """Yield system, "" where there is none, and code."""
    if isinstance(element, bool):
        yield "", str(element).lower()
    elif isinstance(element, str):
        yield "", element
    elif isinstance(element, dict) and isinstance(element.get("coding"), list):
        for coding in element["coding"]:
            yield from _tokens(coding)
    elif isinstance(element, dict):
        code, system = element.get("code", element.get("value")), element.get("system")
        if isinstance(code, str):
            yield system if isinstance(system, str) else "", code


def string(values: Sequence[str], modifier: str | None) -> Test:
    """Starts with, whatever the case; `:exact` is the whole text as it is."""
    if modifier == "exact":
        whole = frozenset(values)
        return lambda elements: any(text in whole for element in elements for text in _texts(element))
    starts = tuple(value.casefold() for value in values)
    return lambda elements: any(
        text.casefold().startswith(starts) for element in elements for text in _texts(element)
    )


def _texts(element: Any) -> Iterator[str]:
    if isinstance(element, str):
        yield element
    elif isinstance(element, list):
        for item in element:
            yield from _texts(item)
    elif isinstance(element, dict):
        for name in ("text", "family", "given", "line", "city"):
            yield from _texts(element.get(name))


def uri(values: Sequence[str], _modifier: str | None) -> Test:
    wanted = frozenset(values)
    return lambda elements: any(isinstance(element, str) and element in wanted for element in elements)


def reference(values: Sequence[str], modifier: str | None) -> Test:
    """`id`, `Type/id`, an absolute URL, or (canonical) a URL with or without its version."""
    wanted = {f"{modifier}/{value}" if modifier and "/" not in value else value for value in values}
    return lambda elements: any(not wanted.isdisjoint(_ways_to_refer(element)) for element in elements)


def _ways_to_refer(element: Any) -> Iterator[str]:
    """Yield all values by which a reference is found."""
    found = element.get("reference") if isinstance(element, dict) else element
    if not isinstance(found, str):
        return
    yield found
    url, resource_id = found.partition("|")[0], found.partition("/")[2]
    if "://" in url:
        yield url
    if "://" not in found and "/" not in resource_id:
        yield resource_id


def date(values: Sequence[str], _modifier: str | None) -> Test:
    """Prefixes compare intervals: a date is the day from its first moment to its last."""
    asked = [_asked(value) for value in values]
    return lambda elements: any(
        compare(found, interval)
        for found in map(_element_interval, elements)
        if found
        for compare, interval in asked
    )


def _asked(value: str) -> tuple[Callable[[Interval, Interval], bool], Interval]:
    match = _DATE.fullmatch(value)
    if match is None:
        raise FHIRError(400, "Invalid date/time in a search parameter")
    return _COMPARISONS[match["prefix"] or "eq"], _interval(match)


def _element_interval(element: Any) -> Interval | None:
    if isinstance(element, dict):
        start, end = _element_interval(element.get("start")), _element_interval(element.get("end"))
        return (start[0] if start else FIRST, end[1] if end else LAST) if start or end else None
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
    except ValueError:
        raise FHIRError(400, "Invalid date/time in a search parameter") from None
    start = in_utc(low)
    return start, later(start, _length(low, match))


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
        return timedelta(days=monthrange(low.year, low.month)[1])
    return timedelta(days=366 if isleap(low.year) else 365)


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

MATCHERS: dict[str, Callable[[Sequence[str], str | None], Test]] = {
    "token": token,
    "string": string,
    "uri": uri,
    "reference": reference,
    "date": date,
}
