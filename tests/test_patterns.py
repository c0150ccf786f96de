"""No regular expression explodes: each is known, and takes time with the length of a text and no more."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from tests import adversary, patterns

#: Each has two parts that match the same text, or reads on to an end that never comes from every beginning.
EXPLODING: dict[str, tuple[str, int, str]] = {
    "white space that belongs to either side": (r"(?:\s*[0-9a-zA-Z+/=]{4}\s*)+", re.ASCII, "fullmatch"),
    "a comment without an end": (r"/\*.*?\*/|\s", re.DOTALL, "sub"),
    "a string without an end": (r'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL, "findall"),
    "a repeat within a repeat": (r"(\w+\s?)*!", 0, "match"),
    "alternatives that match the same": (r"(?:a|ab|b)*c", 0, "match"),
    "two repeats side by side": (r"\d+\d+x", 0, "fullmatch"),
    "an end that is looked for from everywhere": (r"\s+$", 0, "search"),
    "a name before what may not come": (r"[a-z]+:", 0, "search"),
}
#: Alike, and linear.
HARMLESS: dict[str, tuple[str, int, str]] = {
    "words that one blank parts": (r"\S+(?:\s\S+)*", re.ASCII, "fullmatch"),
    "a name at the beginning": (r"[a-z]+:", 0, "match"),
    "a comment that may end with the text": (r"/\*.*?(?:\*/|\Z)", re.DOTALL, "sub"),
    "blanks anywhere": (r"\s+", 0, "sub"),
}


Subject = tuple[str, re.Pattern[Any], Iterable[str]]


def slow(subjects: Iterable[Subject]) -> dict[str, str]:
    """Return the patterns that are not linear, each with the text that shows it; none can hang us."""
    lines = [
        [name, _text(pattern), pattern.flags & ~re.UNICODE, isinstance(pattern.pattern, bytes), sorted(uses)]
        for name, pattern, uses in subjects
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.adversary"],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        cwd=patterns.ROOT,
    )
    worst = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one[0] for one in worst] == [line[0] for line in lines]
    return {
        name: f"{use} of {text}" for name, use, text, seconds in worst if seconds >= adversary.MOST_SECONDS
    }


def _text(pattern: re.Pattern[Any]) -> str:
    return pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern


def compiled(table: dict[str, tuple[str, int, str]]) -> list[Subject]:
    return [(name, re.compile(text, flags), [use]) for name, (text, flags, use) in table.items()]


def test_every_pattern_is_a_constant_of_a_module_where_it_is_found_below() -> None:
    assert patterns.strays() == []
    names = {name for one in patterns.constants() for name in one.names}
    in_source = sum(path.read_text().count("re.compile(") for path, _ in patterns.sources())
    assert len(names) >= in_source > 30


def test_no_pattern_takes_more_time_than_its_text_is_long() -> None:
    # What is only handed on may be matched from its beginning.
    subjects = [
        (" ".join(one.names), one.pattern, one.uses or {"match", "fullmatch"}) for one in patterns.constants()
    ]
    assert slow(subjects) == {}


def test_the_adversary_finds_what_explodes() -> None:
    assert slow(compiled(EXPLODING)).keys() == EXPLODING.keys()


def test_the_adversary_finds_nothing_where_nothing_explodes() -> None:
    assert slow(compiled(HARMLESS)) == {}


@pytest.mark.parametrize(
    "source",
    [
        "def f(text):\n    return re.match('a+', text)",
        "def f(text):\n    pattern = re.compile('a+')",
        "PATTERNS = {'a': re.compile('a+')}",
        "from re import compile",
        "import re as regex",
        "name = validate.Regexp('[a-z]+')",
        "class A:\n    pattern = re.compile('a+')",
    ],
)
def test_a_pattern_that_is_hidden_is_a_stray(source: str) -> None:
    assert patterns.strays_in(source)


def test_a_constant_of_a_module_is_no_stray() -> None:
    assert not patterns.strays_in("import re\nA = re.compile('a+')\nB = validate.Regexp(A)\nC = A.match('a')")
