"""mainstay validate: everything that is wrong with records and resources, by element path."""

from collections.abc import Iterator
from typing import Any

import click

from fhir_mappings import r4
from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.resources import BY_RECORD_TYPE
from service import schemas
from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.inputs import Item, items
from service.cli.translate import FILE
from service.cli.translation import findings_of, is_resource
from service.errors import ServiceError


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per finding.")
def validate(files: tuple[str, ...], as_json: bool) -> None:
    """Check records, and FHIR R4 resources of any type; says everything that is wrong.

    Exit code 1 if there is anything.
    """
    counted = {"values": 0, "findings": 0}
    rows = _rows(files, counted)
    if as_json:
        for row in rows:
            terminal.write_line(row)
    else:
        # A line each and no table: a table would have to know its last row before it can print the first.
        for row in rows:
            click.echo(f"{row['where']}: {row['path'] + ': ' if row['path'] else ''}{row['problem']}")
    if not as_json:
        terminal.say(f"{counted['values']} checked, {counted['findings']} findings")
    if counted["findings"]:
        end(FOUND)


def findings(item: Item) -> list[Finding]:
    """Return all that is wrong with one value of either form."""
    if item.tree is None:
        return item.findings
    if is_resource(item.tree):
        return r4.check(item.tree)
    try:
        record = schemas.load(item.tree)
        r4.require(BY_RECORD_TYPE[type(record).__name__].write(record))
    except (MappingError, InvalidResource, ServiceError) as error:
        return findings_of(error)
    return []


def _rows(files: tuple[str, ...], counted: dict[str, int]) -> Iterator[dict[str, Any]]:
    for item in terminal.progressing("Checking", items(files)):
        counted["values"] += 1
        for finding in findings(item):
            counted["findings"] += 1
            yield {
                "where": item.where,
                "path": finding.path,
                "code": finding.code,
                "problem": finding.problem,
            }
