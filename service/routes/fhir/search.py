"""FHIR search parameters, read strictly: an unknown one is refused, never ignored.

A client that asks for one person's goals must not get everyone's because of a typing error
(https://hl7.org/fhir/R4/search.html#errors lets servers ignore them).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_mappings.errors import Finding
from service import record_types
from service.chart.queries import RecordQuery
from service.errors import InvalidInput
from service.moments import LAST, in_utc, later

#: The search parameters of each type, and the name of the FHIR type that each has.
PARAMETERS: dict[str, Mapping[str, str]] = {
    "Patient": {"_id": "token", "identifier": "token"},
    **{one.resource_type: one.search_parameters for one in record_types.IN_OUR_WORDS},
    **{one.resource_type: one.search_parameters for one in record_types.ALL if one.mapping is None},
}
#: About the answer, not about what is sought.
RESULT_PARAMETERS = frozenset(
    {"_count", "_after", "_format", "_pretty", "_summary", "_total", "_totalMethod"}
)
#: Read elsewhere, or without effect: our answers are one line, and the total is always exact.
_WITHOUT_EFFECT = frozenset({"_format", "_pretty", "_total", "_totalMethod"})

MOST_PER_PAGE = 200
#: No more than a page can show; each is looked up.
MOST_IDS = MOST_PER_PAGE


class _Refused(ValueError):
    """Says what is wrong with a value."""


def read(resource_type: str, given: Iterable[tuple[str, str]]) -> RecordQuery:
    """Return what the parameters of a search ask for. Raises InvalidInput naming each that is wrong."""
    query = RecordQuery(resource_type=resource_type)
    findings = []
    seen: set[str] = set()
    for name, value in given:
        try:
            _refuse_unknown(resource_type, name)
            if name in seen and name not in ("_lastUpdated", "_format"):
                raise _Refused("is given twice; all of it cannot be asked at once here")
            seen.add(name)
            query = _with(query, name, value)
        except _Refused as error:
            findings.append(Finding(name[:80], str(error), "not-supported"))
    if {"patient", "subject"} <= seen:
        findings.append(Finding("subject", "is the same as patient; give one", "not-supported"))
    if findings:
        raise InvalidInput(findings)
    return query


def _refuse_unknown(resource_type: str, name: str) -> None:
    if name in PARAMETERS[resource_type] or name in RESULT_PARAMETERS:
        return
    if ":" in name or "." in name:
        raise _Refused("modifiers and chains are not supported")
    raise _Refused(f"is not a search parameter of {resource_type} here")


def _with(query: RecordQuery, name: str, value: str) -> RecordQuery:
    """Return the search narrowed by one parameter."""
    if name in _WITHOUT_EFFECT:
        return query
    if name == "_lastUpdated":
        return _updated(query, value)
    return replace(query, **_READERS[name](value))


def _single(value: str) -> str:
    if not value or "," in value or "\\" in value:
        raise _Refused("takes one value; alternatives are not supported")
    return value


def _ids(value: str) -> dict[str, Any]:
    ids = tuple(value.split(","))
    if len(ids) > MOST_IDS:
        raise _Refused(f"takes {MOST_IDS} ids at most")
    return {"ids": ids}


def _patient(value: str) -> dict[str, Any]:
    return {"patient": _single(value).removeprefix("Patient/")}


def _status(value: str) -> dict[str, Any]:
    return {"status": _single(value).rpartition("|")[2]}


def _identifier(value: str) -> dict[str, Any]:
    system, bar, code = _single(value).rpartition("|")
    if not code:
        raise _Refused("needs a value: system|value")
    return {"identifier": (system if bar else None, code)}


def _questionnaire(value: str) -> dict[str, Any]:
    return {"questionnaire": _single(value)}


def _count(value: str) -> dict[str, Any]:
    if not value.isascii() or not value.isdigit():
        raise _Refused("must be a whole number")
    limit = int(value[:6])
    # 0 asks for the total alone (https://hl7.org/fhir/R4/search.html#count).
    return {"limit": min(limit, MOST_PER_PAGE) or 1, "is_count_only": limit == 0}


def _after(value: str) -> dict[str, Any]:
    return {"after": value}


def _summary(value: str) -> dict[str, Any]:
    if value not in ("count", "false"):
        raise _Refused("can be count or false")
    return {"is_count_only": True} if value == "count" else {}


_READERS = {
    "_id": _ids,
    "patient": _patient,
    "subject": _patient,
    "status": _status,
    "lifecycle-status": _status,
    "identifier": _identifier,
    "questionnaire": _questionnaire,
    "url": _questionnaire,
    "_count": _count,
    "_after": _after,
    "_summary": _summary,
}

_DATE = re.compile(
    r"(eq|gt|ge|lt|le|sa|eb)?(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def _updated(query: RecordQuery, value: str) -> RecordQuery:
    """Narrow by _lastUpdated: a date stands for all of its span, so 2026-11 is the whole month."""
    # In a query, "+" stands for a space.
    matched = _DATE.fullmatch(value.replace(" ", "+"))
    if matched is None:
        raise _Refused("must be a date or time, after one of eq, gt, ge, lt, le, sa, eb or nothing")
    try:
        start, end = _span(*matched.groups()[1:])
    except ValueError:
        raise _Refused("is not a date that exists") from None
    prefix = matched[1] or "eq"
    since = {"eq": start, "ge": start, "gt": end, "sa": end}.get(prefix)
    before = {"eq": end, "le": end, "lt": start, "eb": start}.get(prefix)
    starts = [moment for moment in (query.updated_since, since) if moment]
    ends = [moment for moment in (query.updated_before, before) if moment]
    return replace(query, updated_since=max(starts, default=None), updated_before=min(ends, default=None))


def _span(
    year: str, month: str | None, day: str | None, time: str | None, offset: str | None
) -> tuple[datetime, datetime]:
    """Return the first moment of a date or time, and the first one after it."""
    if time is not None:
        start = in_utc(datetime.fromisoformat(f"{year}-{month}-{day}T{time}{offset or 'Z'}"))
        seconds = 60 if time.count(":") == 1 else 1 if "." not in time else 0.001
        return start, later(start, timedelta(seconds=seconds))
    start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    if day is not None:
        return start, later(start, timedelta(days=1))
    # 32 and 367 days lead into the next month or year from its first day.
    following = later(start, timedelta(days=367 if month is None else 32))
    if following == LAST:
        return start, LAST
    return start, following.replace(day=1) if month is not None else following.replace(month=1, day=1)
