"""mainstay patient: whom records are about, by what they are called elsewhere; who is who, here and there."""

from collections.abc import Iterator
from typing import Any

import click

from fhir_mappings.exact_json import dump
from fhir_mappings.references import Name
from service.chart import Chart, Patient
from service.cli import terminal
from service.cli.opened import ACTOR, opened
from service.errors import NotFound
from service.wiring import Components

PAGE = 500
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One line of JSON per row.")
_ALSO = click.option("--also", is_flag=True, help="Two values in one system are meant.")
_COLUMNS = ("id", "identifiers", "merged_into", "set_aside")


@click.group()
def patient() -> None:
    """Register patients, find them, and say who is who. An IDENTIFIER is written system|value."""


@patient.command()
@click.argument("identifiers", metavar="IDENTIFIER…", nargs=-1, required=True)
@_ALSO
@AS_JSON
def add(identifiers: tuple[str, ...], also: bool, as_json: bool) -> None:
    """Register a patient; one who is known already stays the same."""
    pairs = [_pair(identifier) for identifier in identifiers]
    with opened() as components:
        _tell(components, components.chart.register_patient(pairs, ACTOR, also=also), as_json)


@patient.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List all patients."""
    with opened() as components:
        rows = (row(one, as_json) for one in everyone(components.chart))
        terminal.told(("id", "identifiers"), rows, as_json)


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@AS_JSON
def show(who: str, as_json: bool) -> None:
    """Show one patient, by our id or by an identifier."""
    with opened() as components:
        _tell(components, _found(components, who), as_json)


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@AS_JSON
def history(who: str, as_json: bool) -> None:
    """Show what was done to what a patient is called, newest first."""
    with opened() as components:
        rows = [
            {
                "at": change.at.isoformat(),
                "actor": change.actor,
                "action": change.action,
                "detail": change.detail if as_json else dump(change.detail),
            }
            for change in components.register.history(_found(components, who).id)
        ]
        terminal.told(("at", "actor", "action", "detail"), rows, as_json)


@patient.group()
def identifier() -> None:
    """Add, correct and remove what a patient is called; every server is then asked anew who that is."""


@identifier.command("add")
@click.argument("who", metavar="ID|IDENTIFIER")
@click.argument("name", metavar="IDENTIFIER")
@_ALSO
@AS_JSON
def add_identifier(who: str, name: str, also: bool, as_json: bool) -> None:
    """Call a patient by one more IDENTIFIER."""
    with opened() as components:
        found = components.register.add_identifier(_found(components, who).id, _pair(name), ACTOR, also=also)
        _tell(components, found, as_json)


@identifier.command()
@click.argument("old", metavar="IDENTIFIER")
@click.argument("new", metavar="CORRECTED")
@_ALSO
@AS_JSON
def correct(old: str, new: str, also: bool, as_json: bool) -> None:
    """Say an IDENTIFIER anew, in every record that names the patient by it too."""
    with opened() as components:
        patient_id = _found(components, old).id
        found = components.register.correct_identifier(patient_id, _pair(old), _pair(new), ACTOR, also=also)
        _tell(components, found, as_json)


@identifier.command()
@click.argument("name", metavar="IDENTIFIER")
@AS_JSON
def remove(name: str, as_json: bool) -> None:
    """Call the patient who has an IDENTIFIER so no more; their last one stays."""
    with opened() as components:
        found = components.register.remove_identifier(_found(components, name).id, _pair(name), ACTOR)
        _tell(components, found, as_json)


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@click.option("--into", required=True, metavar="ID|IDENTIFIER", help="The patient who stays.")
@AS_JSON
def merge(who: str, into: str, as_json: bool) -> None:
    """Make one patient of two who are the same person. `mainstay patient unmerge` undoes it."""
    with opened() as components:
        found = components.register.merge(_found(components, who).id, _found(components, into).id, ACTOR)
        _tell(components, found, as_json)


@patient.command()
@click.argument("patient_id", metavar="ID")
@AS_JSON
def unmerge(patient_id: str, as_json: bool) -> None:
    """Make two patients again of one: the patient ID is theirs who was merged into the other."""
    with opened() as components:
        parted = components.register.unmerge(patient_id, ACTOR)
        detail = components.register.history(patient_id)[0].detail
        _tell(components, parted, as_json)
    if edited := detail.get("edited"):
        terminal.say(
            f"Look at what was edited meanwhile: {', '.join(edited)}. What was written since went along with "
            f"the record, and a reference that was moved still names Patient/{detail['into']}."
        )


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@click.argument("server_id", metavar="PATIENT_THERE")
@click.option("--connection", help="On which server; needed where there are several.")
def match(who: str, server_id: str, connection: str | None) -> None:
    """Say which Patient there is the patient here, by the server's own id of them."""
    with opened() as components:
        name = connection or _only_connection(components)
        components.sync.match_patient(_found(components, who).id, server_id, name, ACTOR)
    terminal.say("Matched; what is due to the patient is sent at the next push: `mainstay sync push`.")


@patient.command()
@click.argument("who", metavar="ID|IDENTIFIER")
@AS_JSON
def matches(who: str, as_json: bool) -> None:
    """Show which Patient a patient is on each server, or why none."""
    with opened() as components:
        rows = [
            terminal.plain(one) if as_json else {**terminal.plain(one), "history": None}
            for one in components.sync.matches(_found(components, who).id)
        ]
        columns = ("connection", "server_id", "state", "reason", "basis", "checked_at", "next_step")
        terminal.told(columns, rows, as_json)


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
    # Two values in one system are refused unless they are meant, and these are.
    also = {"also": True} if len({system for system, _ in patient.identifiers}) < len(identifiers) else {}
    return {"type": "Patient", "id": patient.id, "identifiers": identifiers, **also}


def _tell(components: Components, patient: Patient, as_json: bool) -> None:
    aside = components.chart.set_aside_count(patient.id)
    more = {"merged_into": patient.merged_into, "set_aside": aside}
    shown = {name: value for name, value in more.items() if value}
    columns = [name for name in _COLUMNS if name in ("id", "identifiers", *shown)]
    terminal.told(columns, [row(patient, as_json) | shown], as_json)


def _found(components: Components, who: str) -> Patient:
    """Return a patient by our id or by an identifier. Raises NotFound."""
    found = components.chart.find_patient(*_pair(who)) if "|" in who else components.chart.patient(who)
    if found is None:
        raise NotFound("no patient is registered under this identifier")
    return found


def _only_connection(components: Components) -> str:
    names = [one.name for one in components.sync.connections()]
    if len(names) != 1:
        raise click.UsageError(f"say which server: --connection, one of {', '.join(names) or 'none yet'}")
    return names[0]


def _pair(identifier: str) -> Name:
    system, bar, value = identifier.rpartition("|")
    if not bar or not value:
        raise click.UsageError("write an identifier as system|value, in quotes: the shell knows | too")
    return system, value
