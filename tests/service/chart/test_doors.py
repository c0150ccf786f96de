"""Whatever door a record is written through, by whomever: every row is lawful, or nothing was changed."""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import service
from fhir_mappings.errors import InvalidResource, MappingError
from service.chart import Chart, PatientRegister
from service.errors import ServiceError
from service.sandbox import running
from service.store.backup import restore
from service.sync.engine import Sync
from tests.databases import contents, opened
from tests.service.chart.doors import DOORS, METHODS, NothingToDecideError, RefusedError
from tests.service.chart.lawful import breaches
from tests.service.chart.visitors import Chosen, World

ROOT = Path(service.__path__[0])

#: More choices than a door has.
_NUMBERS = st.lists(st.integers(0, 999), min_size=15, max_size=15)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    url = f"sqlite:///{tmp_path_factory.mktemp('doors') / 'mainstay.db'}"
    with opened(url) as database, running() as base_url:
        yield World(url, database, base_url)


def test_through_no_door_a_row_becomes_another_patients(world: World) -> None:
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()

    # What went wrong is told by the acts that came before; to make them fewer would take minutes.
    # That every door was gone through is asserted, so the choices are the same each time.
    @settings(max_examples=20, phases=[Phase.generate], derandomize=True)
    @given(st.permutations(sorted(DOORS)), st.lists(_NUMBERS, min_size=len(DOORS), max_size=len(DOORS)))
    def each_door_in_some_order(names: list[str], numbers: list[list[int]]) -> None:
        world.begin()
        for name, given_ in zip(names, numbers, strict=True):
            world.before = contents(world.database)
            try:
                DOORS[name](world, Chosen(given_))
            except (ServiceError, MappingError, InvalidResource, RefusedError):
                refused[name] += 1
                assert contents(world.database) == world.before, f"{name} was refused, and changed something"
            except NothingToDecideError:
                pass
            else:
                done[name] += 1
            assert breaches(world.database) == [], name

    each_door_in_some_order()
    # A door that refuses everything would keep the law, too.
    assert {name for name in DOORS if not done[name]} == set()
    assert done.total() > refused.total()
    print({n: (done[n], refused[n]) for n in DOORS})


def writers(of: type) -> set[str]:
    """Return the public methods that can write: given a session, or doing more with a database than read."""
    methods = {
        node.name: node
        for node in ast.walk(ast.parse(inspect.getsource(of)))
        if isinstance(node, ast.FunctionDef)
    }

    def can_write(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in seen or name not in methods:
            return False
        method = methods[name]
        if any(one.arg == "session" for one in [*method.args.args, *method.args.kwonlyargs]):
            return True
        used = of_self(method)
        return used.count("_database") > used.count("_database.read") or any(
            can_write(one, seen | {name}) for one in used
        )

    return {f"{of.__name__}.{name}" for name in methods if not name.startswith("_") and can_write(name)}


def of_self(method: ast.FunctionDef) -> list[str]:
    """Return what a method uses of itself, and of that, as `_database` and `_database.read`."""
    texts = [ast.unparse(node) for node in ast.walk(method) if isinstance(node, ast.Attribute)]
    return [text.removeprefix("self.") for text in texts if text.startswith("self.")]


@pytest.mark.parametrize("of", [Chart, PatientRegister, Sync])
def test_every_method_that_can_write_is_one_of_the_doors(of: type) -> None:
    assert writers(of) == {name for name in METHODS if name.startswith(f"{of.__name__}.")}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(ROOT.rglob("*.py")):
        if "migrations" not in file.parts:
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def calls(module: ast.Module, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called.lstrip("_") in names:
                yield node


def says(node: ast.AST, *names: str) -> bool:
    """Tell whether code names one of the tables of records and their versions."""
    said = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    said |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    return bool(said & {*names})


def test_rows_of_records_and_versions_are_inserted_in_one_room_alone() -> None:
    inserting = {
        name
        for name, module in modules()
        for call in calls(module, "insert", "bulk_insert_mappings", "bulk_save_objects")
        if call.args and (says(call.args[0], "Record", "Version") or isinstance(call.args[0], ast.Subscript))
    }
    # A backup goes into every table; a check of all its rows is not left out (it has no default).
    assert inserting == {"chart/writes.py", "store/backup.py"}
    assert inspect.signature(restore).parameters["check"].default is inspect.Parameter.empty
    made = {
        name
        for name, module in modules()
        for call in calls(module, "Record", "Version")
        if any(keyword.arg in ("tree", "record_id") for keyword in call.keywords)
    }
    # The sandbox has versions of its own, and knows no rows of ours.
    assert made == {"sandbox/store.py"}


def test_a_tree_is_put_into_a_row_in_one_room_alone() -> None:
    assigned = {
        name
        for name, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute) and target.attr == "tree"
    }
    assert assigned == set()
    by_name = {name for name, module in modules() if any(calls(module, "setattr"))}
    # Conflicts keep trees too, which are no records; a report has numbers.
    assert by_name == {"chart/writes.py", "chart/renames.py", "sync/report.py"}
    updated = {
        (name, keyword.arg)
        for name, module in modules()
        for call in calls(module, "values")
        if says(call.func, "Record", "Version")
        for keyword in call.keywords
        if says(call.func, "update")
    }
    assert updated == {("chart/persons.py", "patient_id")}


def test_no_statement_about_records_is_written_as_text() -> None:
    texts = {
        name
        for name, module in modules()
        if not name.startswith("sandbox")
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.search(r"(?i)\b(insert\s+into|update)\s+\"?(records|history)\b", node.value)
    }
    assert texts == set()
