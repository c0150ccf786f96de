"""mainstay sync: bring changes there and here, see how things stand, decide conflicts."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from fhir_mappings.records import Record
from service import schemas
from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.inputs import items
from service.cli.opened import ACTOR, opened
from service.cli.patient import AS_JSON, PAGE
from service.cli.translate import FILE
from service.errors import InvalidInput
from service.sync.moved_decision import MovedDecision
from service.sync.report import Report
from service.sync.states import MISSING, PERSONS, State
from service.sync.status import Missing
from service.wiring import Components

CONNECTION = click.option("--connection", help="This server alone, by name.")
_STATUS = (
    "record_id",
    "resource_type",
    "connection",
    "server_id",
    "server_version",
    "state",
    "reason",
    "sought",
    "next_step",
)
_MOVED = (
    "record_id",
    "resource_type",
    "patient_id",
    "connection",
    "server_id",
    "there",
    "patient_there",
    "was_born_there",
    "found_at",
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
    _act(lambda components: components.sync.run(connection), as_json)


@sync.command()
@CONNECTION
@AS_JSON
@click.option(
    "--all", "everything", is_flag=True, help="Read every copy there and compare, not only what changed."
)
def push(connection: str | None, as_json: bool, everything: bool) -> None:
    """Bring there what changed here."""

    _act(
        lambda components: (components.sync.compare if everything else components.sync.push)(connection),
        as_json,
    )


@sync.command()
@CONNECTION
@AS_JSON
def pull(connection: str | None, as_json: bool) -> None:
    """Bring here what changed there."""
    _act(lambda components: components.sync.pull(connection), as_json)


@sync.command()
@CONNECTION
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--patient", help="Only this patient's records, by our id.")
@AS_JSON
def status(connection: str | None, state: str | None, patient: str | None, as_json: bool) -> None:
    """Show how each record stands on each server, why, and what to do."""
    with opened() as components:
        components.sync.require_connection(connection)
        if patient:
            components.chart.patient(patient)

        def page(after: str | None) -> tuple[list[Any], str | None]:
            return components.sync.status(connection, state, patient, PAGE, after)

        rows = map(terminal.plain, _pages(page))
        terminal.told(_STATUS, rows if as_json else map(_with_sought_in_lines, rows), as_json)
        if not as_json:
            _say_who_is_missing(components.sync.missing(connection))


@sync.command()
@CONNECTION
@AS_JSON
def moved(connection: str | None, as_json: bool) -> None:
    """List copies that are another patient's there by now; `mainstay sync decide-moved` decides."""
    with opened() as components:
        components.sync.require_connection(connection)
        terminal.told(_MOVED, map(terminal.plain, components.sync.moved(connection)), as_json)


@sync.command("decide-moved")
@click.argument("record_id")
@click.argument("decision", type=click.Choice([decision.value for decision in MovedDecision]))
@click.option("--connection", required=True, help="On which server, by name.")
def decide_moved(record_id: str, decision: str, connection: str) -> None:
    """Decide about a copy that is another patient's there by now.

    write-back: it is the patient's here, and is written so again. let-go: it is none of ours any more.
    hand-over: it becomes a new record of the patient whose it is there; the one here is
    withdrawn and set aside, with its history.
    """
    with opened() as components:
        components.sync.decide_moved(record_id, connection, MovedDecision(decision), ACTOR)
    terminal.say("Decided; what there is to send is sent at the next push: `mainstay sync push`.")


@sync.command()
@click.argument("record_id")
@CONNECTION
def retry(record_id: str, connection: str | None) -> None:
    """Send a record again that was set aside, after what was wrong has been mended."""
    with opened() as components:
        components.sync.retry(record_id, connection, ACTOR)
    terminal.say("It is sent at the next push: `mainstay sync push`.")


@sync.command()
@click.argument("conflict_id", required=False)
@CONNECTION
@click.option("--resolved", is_flag=True, help="Those that were decided.")
@AS_JSON
def conflicts(conflict_id: str | None, connection: str | None, resolved: bool, as_json: bool) -> None:
    """List conflicts: records changed on both sides. With CONFLICT_ID show both sides, as FHIR."""
    with opened() as components:
        components.sync.require_connection(connection)
        if conflict_id is not None:
            terminal.write_line(terminal.plain(components.sync.conflict(conflict_id)))
            return

        def page(after: str | None) -> tuple[list[Any], str | None]:
            return components.sync.conflicts(connection, resolved, PAGE, after)

        rows = map(terminal.plain, _pages(page))
        terminal.told(_CONFLICT, rows if as_json else map(_with_paths_in_lines, rows), as_json)


@sync.command()
@CONNECTION
@AS_JSON
def invalid(connection: str | None, as_json: bool) -> None:
    """List what servers hold that is not valid R4: kept as it came, never written."""
    with opened() as components:
        components.sync.require_connection(connection)
        rows = map(terminal.plain, components.sync.invalid(connection))
        terminal.told(_INVALID, rows if as_json else map(_with_findings_in_lines, rows), as_json)


@sync.command()
@click.argument("conflict_id")
@click.option("--keep", type=click.Choice(["here", "there"]), help="The side that counts where both changed.")
@click.option("--record", type=FILE, help="Or: the record that is to be, made of both by a person.")
def resolve(conflict_id: str, keep: str | None, record: str | None) -> None:
    """Decide a conflict; what was decided is sent at the next push."""
    if (keep is None) == (record is None):
        raise click.UsageError("give either --keep or --record")
    with opened() as components:
        decided = None if record is None else _record_in(record)
        components.sync.resolve(conflict_id, keep or "here", ACTOR, decided)
    terminal.say("Decided; it is sent at the next push: `mainstay sync push`.")


def needs_a_person(report: Report) -> bool:
    """Tell whether a run ended with something that does not mend itself."""
    records = report.conflicts + report.moved + report.rejected + report.unmatched + report.invalid
    return bool(report.problem or report.problems or records or report.unreadable)


def _act(act: Callable[[Components], Report], as_json: bool) -> None:
    with opened() as components:
        report = act(components)
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


def _say_who_is_missing(missing: Sequence[Missing]) -> None:
    """Say whom and what the servers lack, each once, whatever the number of records that name them."""
    groups: dict[tuple[str, str], list[Missing]] = {}
    for one in missing:
        kind = "persons" if one.sought[0].type in PERSONS else "things"
        groups.setdefault((one.reason, kind), []).append(one)
    for (reason, kind), some in sorted(groups.items()):
        names = ", ".join(" or ".join(f"{name.system}|{name.value}" for name in one.sought) for one in some)
        count = sum(one.records for one in some)
        who = f"{len(some)} {kind} are" if len(some) > 1 else f"1 {kind.removesuffix('s')} is"
        records = f"{count} records" if count > 1 else "1 record"
        terminal.say(f"{who} {MISSING[reason]}: {names}, named by {records}.")


def _with_sought_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "sought": "\n".join(f"{one['system']}|{one['value']}" for one in row["sought"])}


def _with_paths_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "paths": "\n".join(row["paths"])}


def _with_findings_in_lines(row: dict[str, Any]) -> dict[str, Any]:
    said = [f"{finding['path']}: {finding['problem']}" for finding in row["findings"]]
    return {**row, "findings": "\n".join(said)}


def _record_in(file: str) -> Record:
    given = list(items([file]))
    if len(given) != 1 or given[0].tree is None:
        raise InvalidInput(given[0].findings or "give one record")
    return schemas.load(given[0].tree)
