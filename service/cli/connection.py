"""mainstay connection: the FHIR servers that are kept in step."""

import dataclasses
from typing import Any

import click

from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.opened import opened
from service.cli.patient import AS_JSON
from service.errors import InvalidContent
from service.sync.server import connection_rules

_COLUMNS = ("name", "base_url", "token_file")


@click.group()
def connection() -> None:
    """Declare FHIR servers and see what they can do."""


@connection.command()
@click.argument("name")
@click.argument("base_url")
@click.option(
    "--token-file", type=click.Path(), help="File that holds the bearer token; read at each request."
)
def add(name: str, base_url: str, token_file: str | None) -> None:
    """Declare a server; all records are sent there at the next push."""
    try:
        connection_rules.require_valid(name, base_url)
    except InvalidContent as error:
        raise click.UsageError("; ".join(map(str, error.findings))) from None
    with opened() as components:
        components.sync.add_connection(name, base_url, token_file)
    terminal.say(f"Added {name}. `mainstay connection check {name}` asks what it can do.")


@connection.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the connections."""
    with opened() as components:
        rows = [
            {column: getattr(one, column) for column in _COLUMNS}
            | {"base_url": connection_rules.shown(one.base_url)}
            for one in components.sync.connections()
        ]
        terminal.told(_COLUMNS, rows, as_json)


@connection.command()
@click.argument("name")
@AS_JSON
def check(name: str, as_json: bool) -> None:
    """Ask a server what it can do. Exit code 1 if it cannot be used."""
    with opened() as components:
        asked = dataclasses.asdict(components.sync.check_connection(name))
    asked["base_url"] = connection_rules.shown(asked["base_url"])
    if as_json:
        terminal.write_line({**asked, "writable": list(asked["writable"])})
    else:
        terminal.table(("", ""), _told(asked))
    if asked["problem"]:
        end(FOUND)


def _told(asked: dict[str, Any]) -> list[tuple[str, str]]:
    yes = {True: "yes", False: "no"}
    return [
        ("name", asked["name"]),
        ("base URL", asked["base_url"]),
        ("problem", asked["problem"] or "none"),
        ("next step", asked["next_step"] or ""),
        ("transaction", yes[asked["transaction"]]),
        ("batch", yes[asked["batch"]]),
        ("can be created there", ", ".join(asked["writable"]) or "nothing"),
    ]
