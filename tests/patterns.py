"""All regular expressions of the project: found in its modules, and in its source, so that none escapes."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import fhir_mappings
import service

ROOT = Path(__file__).parents[1]
#: They do something when they are imported: one is the program, the other a migration.
_PROGRAMS = re.compile(r".*\.(__main__|migrations\..*)")
_USES = frozenset({"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"})


class Constant(NamedTuple):
    """A pattern that modules hold, the names of these, and of the methods that are called on it."""

    pattern: re.Pattern[Any]
    names: list[str]
    uses: set[str]


@cache
def modules() -> tuple[ModuleType, ...]:
    """Import both packages, whole."""
    names = [
        found.name
        for package in (fhir_mappings, service)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return tuple(importlib.import_module(name) for name in names if not _PROGRAMS.fullmatch(name))


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Yield each source file of both packages, parsed."""
    for package in (fhir_mappings, service):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def constants() -> list[Constant]:
    """Return the patterns that modules hold, and those of URL converters."""
    found: dict[re.Pattern[Any], Constant] = {}
    called = _called()
    for module in modules():
        for name, value in vars(module).items():
            converter = getattr(value, "regex", None) if isinstance(value, type) else None
            pattern = re.compile(converter) if isinstance(converter, str) else value
            if isinstance(pattern, re.Pattern):
                one = found.setdefault(pattern, Constant(pattern, [], set()))
                one.names.append(f"{module.__name__}.{name}")
                one.uses.update(called.get((str(module.__file__), name), ()), called.get(("", name), ()))
    return list(found.values())


def strays() -> list[str]:
    """Return where a pattern is compiled or used that is no constant of a module: path and line."""
    return [f"{path.relative_to(ROOT)}:{node.lineno}" for path, tree in sources() for node in _strays(tree)]


def strays_in(source: str) -> list[int]:
    """Return the lines of a text of Python where a pattern is hidden."""
    return [node.lineno for node in _strays(ast.parse(source))]


def _strays(tree: ast.Module) -> Iterator[Any]:
    allowed = {id(one.value) for one in tree.body if isinstance(one, ast.Assign)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(name.name == "re" and name.asname for name in node.names):
            yield node
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            yield node
        if _is_call_of_re(node) and id(node) not in allowed:
            yield node
        # What takes a pattern as a text compiles it out of sight.
        if isinstance(node, ast.Call) and _name(node.func) == "Regexp" and _is_text(node.args[0]):
            yield node


def _is_call_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr != "escape"
    )


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)


def _called() -> dict[tuple[str, str], set[str]]:
    """Return by file and name which methods of patterns are called on what is called so.

    What has a public name may be called in any file, which is named "".
    """
    found: dict[tuple[str, str], set[str]] = {}
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _USES:
                name = _name(node.value)
                found.setdefault((str(path) if name.startswith("_") else "", name), set()).add(node.attr)
    return found
