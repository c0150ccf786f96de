"""mainstay connection: the FHIR servers that are kept in step."""

import dataclasses
import re
from typing import Any

import click

from service.cli import terminal
from service.cli.ending import FOUND, end
from service.cli.opened import opened
from service.cli.patient import AS_JSON
from service.config import Config, ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
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
    if _NAME.fullmatch(name) is None:
        raise click.UsageError("a name is of small letters, digits, - and _")
    try:
        Config(fhir_base_url=base_url)
    except ConfigError:
        raise click.UsageError(
            "BASE_URL has to be http(s)://host/path, without user, password or query"
        ) from None
    with opened() as store:
        store.sync.add_connection(name, base_url, token_file)
    terminal.say(f"Added {name}. `mainstay connection check {name}` asks what it can do.")


@connection.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the connections."""
    with opened() as store:
        rows = [{column: getattr(one, column) for column in _COLUMNS} for one in store.sync.connections()]
        terminal.told(_COLUMNS, rows, as_json)


@connection.command()
@click.argument("name")
@AS_JSON
def check(name: str, as_json: bool) -> None:
    """Ask a server what it can do. Exit code 1 if it cannot be used."""
    with opened() as store:
        asked = dataclasses.asdict(store.sync.check_connection(name))
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
