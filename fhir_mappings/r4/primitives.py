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

# What is matched comes from anyone: no pattern may have two parts that can match the same text, or a long one
# is tried in all ways to share it out between them.

_Y = r"(?!0000)[0-9]{4}"
_YMD = rf"({_Y})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HMS = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_OFFSET = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_BASE64_TEXT = re.compile(r"[0-9a-zA-Z+/=\s]+", re.ASCII)
_CLOCK = re.compile(_HMS, re.ASCII)
_CODE = re.compile(r"\S+(?:\s\S+)*", re.ASCII)
_DATE = re.compile(_YMD, re.ASCII)
_DATE_TIME = re.compile(rf"{_YMD}(?:T{_HMS}{_OFFSET})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_INSTANT = re.compile(rf"{_YMD}T{_HMS}{_OFFSET}", re.ASCII)
_MONTH = re.compile(rf"{_Y}(?:-(?:0[1-9]|1[0-2]))?", re.ASCII)
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_NO_SPACE = re.compile(r"\S+", re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a JSON string"
    if not value:
        return "must not be empty"
    if len(value) > MAX_STRING_CHARACTERS:
        return "is longer than 1 MB"
    # R4 says that control characters and blanks alone SHOULD not be, so they may.
    return None


def _form(pattern: re.Pattern[str], problem: str) -> Check:
    matches = pattern.fullmatch

    def check(value: Any) -> str | None:
        if isinstance(value, str) and matches(value):
            return None
        return _text(value) or problem

    return check


def _calendar(partial: re.Pattern[str] | None, whole: re.Pattern[str], problem: str) -> Check:
    """whole: a form that begins with year, month and day; partial: the forms that have no day."""
    matches_whole = whole.fullmatch
    matches_partial = partial.fullmatch if partial else None

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


def _base64(value: Any) -> str | None:
    # R4 allows white space around groups of four characters, and none within one.
    if isinstance(value, str) and _BASE64_TEXT.fullmatch(value):
        runs = value.split()
        if runs and all(len(run) % 4 == 0 for run in runs):
            return None
    return _text(value) or "is not base64"


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


_URI = _form(_NO_SPACE, "must be a URI: it holds white space")

CHECKS: dict[str, Check] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _URI,
    "code": _form(_CODE, "is not a code: white space at an end, or doubled"),
    "date": _calendar(_MONTH, _DATE, "is not a date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": _calendar(
        _MONTH,
        _DATE_TIME,
        "is not a date-time: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with an offset",
    ),
    "decimal": _decimal,
    "id": _form(_ID, "is not an id: 1 to 64 letters, digits, hyphens and dots"),
    "instant": _calendar(None, _INSTANT, "is not an instant: YYYY-MM-DDThh:mm:ss with an offset"),
    "integer": _integer(-MAX_INTEGER - 1),
    "markdown": _text,
    "oid": _form(_OID, "is not an OID: urn:oid: and numbers with dots"),
    "positiveInt": _integer(1),
    "string": _text,
    "time": _form(_CLOCK, "is not a time: hh:mm:ss"),
    "unsignedInt": _integer(0),
    "uri": _URI,
    "url": _URI,
    "uuid": _form(_UUID, "is not a UUID: urn:uuid: and lower-case hexadecimal digits"),
}
