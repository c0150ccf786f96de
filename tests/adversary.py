"""An adversary of regular expressions: makes texts from a pattern, and tells on which it is not linear.

Run as a program it reads patterns from standard input and says of each how long the worst text took.
A pattern that explodes is stopped, so that it is told and not waited for.
"""

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from re import _constants as op
from re import _parser
from typing import Any, NamedTuple

#: What is tried on every text, and what is done with the slowest of them. Where time grows with the square of
#: the size, the second takes ten thousand times as long as the first.
SMALL, LARGE = 2_000, 200_000
MOST_SECONDS = 1.0
_SUSPICIOUS_SECONDS = 0.005

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_SINGLE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_FEW = 6


class Text(NamedTuple):
    """A beginning, what is repeated after it, and an end that does not fit."""

    head: str
    pump: str
    tail: str

    def of_size(self, size: int) -> str:
        return self.head + self.pump * (size // len(self.pump)) + self.tail


class Slowest(NamedTuple):
    """The text on which a pattern took longest, how it was used, and the seconds that it took when large."""

    text: Text
    use: str
    seconds: float


class _TooSlowError(Exception):
    """Raised within a match that takes longer than any linear one."""


def slowest(pattern: re.Pattern[Any], uses: Sequence[str]) -> Slowest:
    """Return the text on which a pattern is slowest; uses: names of its methods."""
    timed: list[Slowest] = []
    for one in (Slowest(text, use, 0.0) for text in texts(pattern) for use in uses):
        timed.append(one._replace(seconds=_seconds(pattern, one, SMALL)))
        if (
            timed[-1].seconds > _SUSPICIOUS_SECONDS
            and (large := _large(pattern, one)).seconds >= MOST_SECONDS
        ):
            return large
    worst = sorted(timed, key=lambda one: one.seconds)[-_FEW:]
    return max((_large(pattern, one) for one in worst), key=lambda one: one.seconds)


def _large(pattern: re.Pattern[Any], one: Slowest) -> Slowest:
    return one._replace(seconds=_seconds(pattern, one, LARGE))


def texts(pattern: re.Pattern[Any]) -> Iterator[Text]:
    """Yield texts made of what each part of a pattern repeats, and of what may stand around it."""
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    parsed = _parser.parse(source, pattern.flags & ~re.UNICODE)
    alphabet = list(dict.fromkeys([*_named(parsed), *"aA0 \n!/-.\x00é"]))
    if isinstance(pattern.pattern, bytes):
        alphabet = [letter for letter in alphabet if letter < "\x80"]
    pumps = dict.fromkeys(_pumps(parsed, "", alphabet))
    tails = ["", *alphabet]
    for head, pump in pumps:
        for tail in tails:
            yield Text(head, pump, tail)


def _pumps(nodes: Any, head: str, alphabet: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what to repeat, each with what leads to it; beside its own body also what stands around it."""
    nodes = list(nodes)
    for index, (kind, given) in enumerate(nodes):
        before = head + _samples(nodes[:index], alphabet)[0]
        if kind in _REPEATS:
            after = _samples(nodes[index + 1 :], alphabet)[0]
            bodies = _samples(given[2], alphabet)
            for body in bodies:
                for pump in (body, body + after, before + body, before + body + after):
                    yield from ((start, pump) for start in (before, "") if pump)
            # Two bodies in turn: alternatives that can take each other's place.
            yield from ((before, one + other) for one in bodies[:3] for other in bodies[:3] if one + other)
        for inner in _inside(kind, given):
            yield from _pumps(inner, before, alphabet)
    whole = _samples(nodes, alphabet)[0]
    if whole:
        yield head, whole


def _inside(kind: Any, given: Any) -> list[Any]:
    """Return the patterns that a part of one holds."""
    if kind in _REPEATS:
        return [given[2]]
    if kind is op.BRANCH:
        return list(given[1])
    if kind is op.SUBPATTERN:
        return [given[3]]
    if kind is op.ATOMIC_GROUP:
        return [given]
    return [given[1]] if kind in (op.ASSERT, op.ASSERT_NOT) else []


def _samples(nodes: Any, alphabet: list[str]) -> list[str]:
    """Return a few short texts that a pattern may match; at least one."""
    found = [""]
    for kind, given in nodes:
        options = _sample(kind, given, alphabet) or [""]
        first, *others = found
        found = [first + option for option in options] + [other + options[0] for other in others]
        found = list(dict.fromkeys(found))[:_FEW]
    return found


def _sample(kind: Any, given: Any, alphabet: list[str]) -> list[str]:
    if kind is op.LITERAL:
        return [chr(given)]
    if kind in _SINGLE:
        return [letter for letter in alphabet if _takes(kind, given, letter)][:_FEW]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [""]
    inner = [text for part in _inside(kind, given) for text in _samples(part, alphabet)[:3]]
    if kind in _REPEATS:
        least, most, _ = given
        more = [text * (least + 1) for text in inner] if most > least else []
        inner = [text * least for text in inner[:1]] + more if least < 2 else [text * least for text in inner]
    return inner


def _takes(kind: Any, given: Any, letter: str) -> bool:
    """Tell whether a part that matches one character matches this one."""
    if kind is op.ANY:
        return letter != "\n"
    if kind is op.LITERAL:
        return bool(ord(letter) == given)
    if kind is op.NOT_LITERAL:
        return bool(ord(letter) != given)
    if kind is op.RANGE:
        return bool(given[0] <= ord(letter) <= given[1])
    if kind is op.CATEGORY:
        return _CATEGORIES[given](letter)
    negated = bool(given) and given[0][0] is op.NEGATE
    return negated != any(
        _takes(member[0], member[1], letter) for member in given if member[0] is not op.NEGATE
    )


_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_NOT_DIGIT: lambda letter: not letter.isdecimal(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda letter: not letter.isspace(),
    op.CATEGORY_WORD: lambda letter: letter.isalnum() or letter == "_",
    op.CATEGORY_NOT_WORD: lambda letter: not (letter.isalnum() or letter == "_"),
}


def _named(nodes: Any) -> Iterator[str]:
    """Yield the characters that a pattern names, the ends of ranges among them."""
    for kind, given in nodes:
        if kind in (op.LITERAL, op.NOT_LITERAL):
            yield chr(given)
        elif kind is op.RANGE:
            yield from map(chr, given)
        elif kind is op.IN:
            yield from _named(given)
        for inner in _inside(kind, given):
            yield from _named(inner)


def _seconds(pattern: re.Pattern[Any], one: Slowest, size: int) -> float:
    """Return the CPU time of one use; of one that does not end, the most that is waited."""
    text = one.text.of_size(size)
    subject: Any = text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    started = time.process_time()
    try:
        if one.use in ("match", "fullmatch", "search"):
            getattr(pattern, one.use)(subject)
        else:
            for _ in pattern.finditer(subject):
                pass
    except _TooSlowError:
        return MOST_SECONDS
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.process_time() - started


def _stop(*_: object) -> None:
    raise _TooSlowError


def main() -> None:
    """Say of each pattern that standard input names, a line of JSON each, which text it was slowest on."""
    signal.signal(signal.SIGPROF, _stop)
    for name, source, flags, is_bytes, uses in json.load(sys.stdin):
        pattern = re.compile(source.encode("latin-1") if is_bytes else source, flags)
        text, use, seconds = slowest(pattern, uses)
        print(json.dumps([name, use, list(text), round(seconds, 3)]), flush=True)


if __name__ == "__main__":
    main()
