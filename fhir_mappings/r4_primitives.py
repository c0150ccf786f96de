"""The forms of FHIR R4's primitive values (https://hl7.org/fhir/R4/datatypes.html)."""

import math
import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from typing import Any

#: Tells what is wrong with a value, or None.
Check = Callable[[Any], str | None]

MAX_STRING_CHARACTERS = 1024 * 1024
MAX_INTEGER = 2**31 - 1

_YEAR = r"(?!0000)[0-9]{4}"
_DAY = rf"({_YEAR})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_OFFSET = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_MONTH = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a JSON string"
    if not value:
        return "must not be empty"
    if len(value) > MAX_STRING_CHARACTERS:
        return "is longer than 1 MB"
    # R4 says that control characters and blanks alone SHOULD not be, so they may.
    return None


def _form(pattern: str, problem: str) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: Any) -> str | None:
        if isinstance(value, str) and matches(value):
            return None
        return _text(value) or problem

    return check


def _calendar(partial: str | None, whole: str, problem: str) -> Check:
    """whole: a form that begins with year, month and day; partial: the forms that have no day."""
    matches_whole = re.compile(whole, re.ASCII).fullmatch
    matches_partial = re.compile(partial, re.ASCII).fullmatch if partial else None

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a JSON string"
        found = matches_whole(value)
        if found is None:
            return None if matches_partial and matches_partial(value) else problem
        year, month, day = found.groups()
        if int(day) > 28 and int(day) > monthrange(int(year), int(month))[1]:
            return "is a day that the calendar does not have"
        return None

    return check


def _integer(least: int) -> Check:
    def check(value: Any) -> str | None:
        if type(value) is not int:
            return "must be a JSON number without fraction or exponent"
        if not least <= value <= MAX_INTEGER:
            return f"must be from {least} to {MAX_INTEGER}"
        return None

    return check


def _decimal(value: Any) -> str | None:
    is_number = (
        type(value) is int
        or (isinstance(value, Decimal) and value.is_finite())
        or (isinstance(value, float) and math.isfinite(value))
    )
    return None if is_number else "must be a JSON number"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


_URI = _form(r"\S+", "must be a URI: it holds white space")

CHECKS: dict[str, Check] = {
    "base64Binary": _form(r"(?:\s*[0-9a-zA-Z+/=]{4}\s*)+", "is not base64"),
    "boolean": _boolean,
    "canonical": _URI,
    "code": _form(r"\S+(?:\s\S+)*", "is not a code: white space at an end, or doubled"),
    "date": _calendar(_MONTH, _DAY, "is not a date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": _calendar(
        _MONTH,
        rf"{_DAY}(?:T{_CLOCK}{_OFFSET})?",
        "is not a date-time: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with an offset",
    ),
    "decimal": _decimal,
    "id": _form(r"[A-Za-z0-9\-.]{1,64}", "is not an id: 1 to 64 letters, digits, hyphens and dots"),
    "instant": _calendar(
        None, rf"{_DAY}T{_CLOCK}{_OFFSET}", "is not an instant: YYYY-MM-DDThh:mm:ss with an offset"
    ),
    "integer": _integer(-MAX_INTEGER - 1),
    "markdown": _text,
    "oid": _form(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "is not an OID: urn:oid: and numbers with dots"),
    "positiveInt": _integer(1),
    "string": _text,
    "time": _form(_CLOCK, "is not a time: hh:mm:ss"),
    "unsignedInt": _integer(0),
    "uri": _URI,
    "url": _URI,
    "uuid": _form(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "is not a UUID: urn:uuid: and lower-case hexadecimal digits",
    ),
}
