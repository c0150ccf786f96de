"""JSON and NDJSON files as a stream of values: one at a time, so that a million need no more memory than one.

A file whose first line is a whole object is NDJSON; so is one whose first line is broken and whose second is
a record or a resource. Blank lines say nothing and are skipped. Any other file is one JSON value. A Bundle is
its entries, which call each other by type and id. What cannot be read is an item too, in its place, with the
findings that say why.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import JSONTextError, Tree
from service.cli import bundle_entries

#: Longer than any resource that a server takes; a line without an end must not fill the memory.
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Item:
    """One value of a file, or the findings that say why there is none.

    where: file, and line or entry, for people.
    """

    where: str
    tree: Tree | None = None
    findings: list[Finding] = field(default_factory=list)


def items(paths: Iterable[str]) -> Iterator[Item]:
    """Yield what the files hold, in order; ``-`` is standard input."""
    for path in paths:
        if path == "-":
            yield from _items("standard input", sys.stdin.buffer)
        else:
            with open(path, "rb") as stream:
                yield from _items(path, stream)


def _items(name: str, stream: IO[bytes]) -> Iterator[Item]:
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        yield _refused(name, "the file is empty")
        return
    if _is_whole_object(first[1]):
        ahead, is_ndjson = [first], True
    else:
        ahead = [first, *islice(lines, 1)]
        is_ndjson = not _goes_on(first[1]) and _is_said(ahead[-1][1])
    if is_ndjson:
        for number, line in chain(ahead, lines):
            yield from _parsed(f"{name}:{number}", line)
    else:
        yield from _parsed(name, b"".join(line for _, line in ahead) + stream.read(MAX_BYTES + 1))


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers; of one that is too long, its beginning."""
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        if line.strip(_BLANK):
            yield number, line
        while len(line) > MAX_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_BYTES + 1)


def _is_whole_object(line: bytes) -> bool:
    """Tell whether a line opens an object and closes it, whatever is wrong within."""
    text = line.strip(_BLANK)
    if not text.startswith(b"{") or not text.endswith(b"}"):
        return False
    bare = _STRING.sub(_without_string, text)
    return sum(map(bare.count, b"{[")) == sum(map(bare.count, b"}]"))


def _without_string(string: re.Match[bytes]) -> bytes:
    # One without an end has none: what stands in it is looked at like all else.
    return b"" if string["end"] else string[0]


def _goes_on(line: bytes) -> bool:
    return line.strip(_BLANK).endswith((b"{", b"[", b",", b":"))


def _is_said(line: bytes) -> bool:
    """Tell whether a line is a whole record or resource."""
    try:
        value = exact_json.parse(line)
    except JSONTextError:
        return False
    return isinstance(value, dict) and ("resourceType" in value or "type" in value)


def _parsed(where: str, text: bytes) -> Iterator[Item]:
    if len(text) > MAX_BYTES:
        yield _refused(where, f"longer than {MAX_BYTES // 1024 // 1024} MiB", "too-long")
        return
    try:
        value = exact_json.parse(text)
    except JSONTextError as error:
        yield _refused(where, error.problem, "structure")
        return
    if isinstance(value, list):
        yield _refused(where, "a list; give one object, one object a line, or a Bundle", "structure")
    elif not isinstance(value, dict):
        yield _refused(where, "not an object", "structure")
    elif value.get("resourceType") == "Bundle":
        yield from _entries(where, value)
    else:
        yield Item(where, value)


def _entries(where: str, bundle: Tree) -> Iterator[Item]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        yield Item(where, findings=[Finding("Bundle.entry", "is not a list", "structure")])
        return
    for index, resource in enumerate(bundle_entries.resources(entries)):
        path = f"Bundle.entry[{index}]"
        if resource is None:
            resource = Finding("resource", "is missing", "required")
        if isinstance(resource, Finding):
            located = Finding(f"{path}.{resource.path}", resource.problem, resource.code)
            yield Item(f"{where} {path}", findings=[located])
        else:
            yield Item(f"{where} {path}", resource)


def _refused(where: str, problem: str, code: str = "invalid") -> Item:
    return Item(where, findings=[Finding("", problem, code)])


_BLANK = b" \t\r\n\xef\xbb\xbf"
# One without an end takes all that is left, so that nothing is read twice in search of an end.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?P<end>")?', re.DOTALL)
