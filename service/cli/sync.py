"""mainstay sync: bring changes there and here, see how things stand, decide conflicts."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import click

from fhir_mappings.exact_json import Tree
from fhir_mappings.mappings import BY_RECORD_TYPE
from service import schemas
from service.cli import terminal
from service.cli.ending import FOUND, end
from service.cli.inputs import items
from service.cli.opened import ACTOR, Opened, opened
from service.cli.patient import AS_JSON, PAGE
from service.cli.translate import FILE
from service.errors import InvalidInput
from service.sync.reasons import State
from service.sync.report import Report

CONNECTION = click.option("--connection", help="This server alone, by name.")
_STATUS = (
    "record_id",
    "resource_type",
    "connection",
    "server_id",
    "server_version",
    "state",
    "reason",
    "next_step",
)
_CONFLICT = ("id", "record_id", "resource_type", "connection", "here_version", "server_version", "paths")

_INVALID = ("connection", "resource_type", "server_id", "server_version", "findings", "seen_at")


@click.group()
def sync() -> None:
    """Keep FHIR servers in step with what is here, and here with what is there."""


@sync.command()
@CONNECTION
@AS_JSON
def run(connection: str | None, as_json: bool) -> None:
    """Push, pull, and push what the pull left to send. Exit code 1 if something needs a person."""
    _act(lambda store: store.sync.run(connection), as_json)


@sync.command()
@CONNECTION
@AS_JSON
@click.option(
    "--all", "everything", is_flag=True, help="Compare all records again, not only the changed ones."
)
def push(connection: str | None, as_json: bool, everything: bool) -> None:
    """Bring there what changed here."""

    def pushed(store: Opened) -> Report:
        names = [connection] if connection else [one.name for one in store.sync.connections()]
        for name in names if everything else []:
            store.sync.enqueue_all(name)
        return store.sync.push(connection)

    _act(pushed, as_json)


@sync.command()
@CONNECTION
@AS_JSON
def pull(connection: str | None, as_json: bool) -> None:
    """Bring here what changed there."""
    _act(lambda store: store.sync.pull(connection), as_json)


@sync.command()
@CONNECTION
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--patient", help="Only this patient's records, by our id.")
@AS_JSON
def status(connection: str | None, state: str | None, patient: str | None, as_json: bool) -> None:
    """Show how each record stands on each server, why, and what to do."""
    with opened() as store:

        def page(after: str | None) -> tuple[list[Any], str | None]:
            return store.sync.status(connection, state, patient, PAGE, after)

        terminal.told(_STATUS, map(plain, _pages(page)), as_json)


@sync.command()
@click.argument("record_id")
@CONNECTION
def retry(record_id: str, connection: str | None) -> None:
    """Send a record again that was set aside, after what was wrong has been mended."""
    with opened() as store:
        store.sync.retry(record_id, connection, ACTOR)
    terminal.say("It is sent at the next push: `mainstay sync push`.")


@sync.command()
@click.argument("conflict_id", required=False)
@CONNECTION
@click.option("--resolved", is_flag=True, help="Those that were decided.")
@AS_JSON
def conflicts(conflict_id: str | None, connection: str | None, resolved: bool, as_json: bool) -> None:
    """List conflicts: records changed on both sides. With CONFLICT_ID show both sides, as FHIR."""
    with opened() as store:
        if conflict_id is not None:
            terminal.write_line(plain(store.sync.conflict(conflict_id)))
            return

        def page(after: str | None) -> tuple[list[Any], str | None]:
            return store.sync.conflicts(connection, resolved, PAGE, after)

        rows = map(plain, _pages(page))
        terminal.told(_CONFLICT, rows if as_json else map(_with_paths_in_lines, rows), as_json)


@sync.command()
@CONNECTION
@AS_JSON
def invalid(connection: str | None, as_json: bool) -> None:
    """List what servers hold that is not valid R4: kept as it came, never written."""
    with opened() as store:
        rows = map(plain, store.sync.invalid(connection))
        terminal.told(_INVALID, rows if as_json else map(_with_findings_in_lines, rows), as_json)


@sync.command()
@click.argument("conflict_id")
@click.option("--keep", type=click.Choice(["here", "there"]), help="The side that counts where both changed.")
@click.option("--record", type=FILE, help="Or: the record that is to be, made of both by a person.")
def resolve(conflict_id: str, keep: str | None, record: str | None) -> None:
    """Decide a conflict; what was decided is sent at the next push."""
    if (keep is None) == (record is None):
        raise click.UsageError("give either --keep or --record")
    with opened() as store:
        tree = None if record is None else _merged(store.sync.conflict(conflict_id), record)
        store.sync.resolve(conflict_id, keep or "here", ACTOR, tree)
    terminal.say("Decided; it is sent at the next push: `mainstay sync push`.")


def plain(row: Any) -> dict[str, Any]:
    """Return a row as JSON can say it."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in dataclasses.asdict(row).items()
    }


def needs_a_person(report: Report) -> bool:
    """Tell whether a run ended with something that does not mend itself."""
    records = report.conflicts + report.rejected + report.unmatched + report.invalid + report.unreadable
    return bool(report.problem or report.problems or records)


def _act(act: Callable[[Opened], Report], as_json: bool) -> None:
    with opened() as store:
        report = act(store)
    if as_json:
        terminal.write_line(dataclasses.asdict(report))
    else:
        terminal.table(("records", ""), report.counts().items())
        for problem in report.problems:
            terminal.say(problem)
    if needs_a_person(report):
        end(FOUND)


def _pages(page: Callable[[str | None], tuple[list[Any], str | None]]) -> Iterator[Any]:
    after = None
    while True:
        rows, after = page(after)
        yield from rows
        if after is None:
            return


def _with_paths_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "paths": "\n".join(row["paths"])}


def _with_findings_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    said = [f"{finding['path']}: {finding['problem']}" for finding in row["findings"]]
    return {**row, "findings": "\n".join(said)}


def _merged(conflict: Any, file: str) -> Tree:
    given = list(items([file]))
    if len(given) != 1 or given[0].tree is None:
        raise InvalidInput(given[0].findings or "give one record")
    record = schemas.load(given[0].tree)
    mapping = BY_RECORD_TYPE[type(record).__name__]
    tree: Tree = mapping.write(record, conflict.here)
    return tree
