"""mainstay patient: whom records are about, by what they are called elsewhere."""

from collections.abc import Iterator
from typing import Any

import click

from service.chart import Chart, Patient
from service.cli import terminal
from service.cli.opened import ACTOR, opened
from service.errors import NotFound

PAGE = 500
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One line of JSON per row.")


@click.group()
def patient() -> None:
    """Register patients and find them. An IDENTIFIER is written system|value."""


@patient.command()
@click.argument("identifiers", metavar="IDENTIFIER…", nargs=-1, required=True)
@AS_JSON
def add(identifiers: tuple[str, ...], as_json: bool) -> None:
    """Register a patient; one who is known already stays the same."""
    pairs = [_pair(identifier) for identifier in identifiers]
    with opened() as store:
        found = store.chart.register_patient(pairs, ACTOR)
        terminal.told(("id", "identifiers"), [row(found, as_json)], as_json)


@patient.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List all patients."""
    with opened() as store:
        rows = (row(one, as_json) for one in everyone(store.chart))
        terminal.told(("id", "identifiers"), rows, as_json)


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@AS_JSON
def show(who: str, as_json: bool) -> None:
    """Show one patient, by our id or by an identifier."""
    with opened() as store:
        found = store.chart.find_patient(*_pair(who)) if "|" in who else store.chart.patient(who)
        if found is None:
            raise NotFound("no patient is registered under this identifier")
        terminal.told(("id", "identifiers"), [row(found, as_json)], as_json)


def everyone(chart: Chart) -> Iterator[Patient]:
    """Yield all patients, page by page."""
    after = None
    while True:
        page = chart.patients(PAGE, after)
        yield from page.entries
        after = page.next_after
        if after is None:
            return


def row(patient: Patient, as_json: bool) -> dict[str, Any]:
    """Return a patient's JSON, or what a table shows of it."""
    if not as_json:
        return {"id": patient.id, "identifiers": "\n".join("|".join(pair) for pair in patient.identifiers)}
    identifiers = [{"system": system, "value": value} for system, value in patient.identifiers]
    return {"type": "Patient", "id": patient.id, "identifiers": identifiers}


def _pair(identifier: str) -> tuple[str, str]:
    system, bar, value = identifier.rpartition("|")
    if not bar or not value:
        raise click.UsageError("write an identifier as system|value, in quotes: the shell knows | too")
    return system, value
