"""JSON as FHIR needs it: numbers keep their text, and what is ambiguous is refused.

A tree is parsed JSON: dict, list, str, bool, None, int and ``Number``. Trees are values:
nothing changes one after it was built.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson

Tree = dict[str, Any]

#: Deeper than any real form; far below what the interpreter's stack can take.
MAX_DEPTH = 100

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_FORBIDDEN_CHARACTER = re.compile("[\x00\ud800-\udfff]")


class JSONTextError(ValueError):
    """A text that is not the JSON of one value; says what is wrong, never what it holds."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Number(Decimal):
    """An exact decimal that prints as it was written: 7.50, 1e2, -0, 0.0000001."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["Number"], tuple[str]]:
        return Number, (self.text,)


def parse(text: str | bytes) -> Any:
    """Parse one JSON value, with exact numbers.

    Raises JSONTextError for malformed or empty text, NaN and Infinity, the same key twice,
    too deep nesting, lone surrogates, NUL, and bytes that are not UTF-8.
    """
    if isinstance(text, bytes):
        text = _decode(text)
    if not text.strip():
        raise JSONTextError("the text is empty")
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except simplejson.JSONDecodeError as error:
        problem = error.msg.replace(" %r at", "")
        raise JSONTextError(f"not JSON: {problem} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise JSONTextError(f"nested more than {MAX_DEPTH} levels deep") from None
    # Few brackets cannot nest deeply, and to count them is cheaper than to walk the tree.
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _refuse_depth(value)
    if _SURROGATE_ESCAPE.search(text) or "\\u0000" in text or _FORBIDDEN_CHARACTER.search(text):
        _refuse_characters(value)
    return value


def dump(value: Any) -> str:
    """Print a tree as one line of JSON; numbers as they were written."""
    return _ENCODER.encode(value)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JSONTextError(f"not UTF-8 at byte {error.start}") from None


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return
        level = [member for one in level for member in (one.values() if isinstance(one, dict) else one)]
    raise JSONTextError(f"nested more than {MAX_DEPTH} levels deep")


def _integer(text: str) -> int | Number:
    # "-0" would lose its sign, and a number of thousands of digits is no integer of FHIR.
    return Number(text) if text == "-0" or len(text) > 40 else int(text)


def _number(text: str) -> Number:
    try:
        return Number(text)
    except InvalidOperation:
        raise JSONTextError("a number's exponent is out of range") from None


def _constant(name: str) -> Any:
    raise JSONTextError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> Tree:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JSONTextError(f"the key {simplejson.dumps(twice[:80])} appears twice in one object")
    return members


def _refuse_characters(value: Any) -> None:
    if isinstance(value, str):
        if _FORBIDDEN_CHARACTER.search(value):
            raise JSONTextError("a string holds NUL or half of a surrogate pair, which no text can carry")
    elif isinstance(value, dict):
        for key, member in value.items():
            _refuse_characters(key)
            _refuse_characters(member)
    elif isinstance(value, list):
        for member in value:
            _refuse_characters(member)


_DECODER = simplejson.JSONDecoder(
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_constant,
    object_pairs_hook=_object,
    allow_nan=True,
)
_ENCODER = simplejson.JSONEncoder(
    ensure_ascii=False,
    use_decimal=True,
    separators=(",", ":"),
    check_circular=False,
    allow_nan=False,
    namedtuple_as_object=False,
    tuple_as_array=False,
)
