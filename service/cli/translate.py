"""mainstay translate: records into FHIR and FHIR into records, a line out for every line in."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import IO, Any

import click

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.inputs import Item, items
from service.cli.translation import Translated, translated

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--to", type=click.Choice(["fhir", "records"]), help="Form to print; left out, the other one.")
@click.option("--onto", type=FILE, help="Originals: the n-th record is written onto the n-th of these.")
@click.option("--report", type=click.File("wb", lazy=False), help="Write what got lost, a line per line in.")
def translate(files: tuple[str, ...], to: str | None, onto: str | None, report: IO[bytes] | None) -> None:
    """Translate records into FHIR R4, and FHIR R4 into records.

    FILE is JSON or NDJSON, - is standard input, a Bundle is its entries, blank lines are skipped. Each line
    in gives one line out; in the place of one that is refused stands an OperationOutcome, and one that comes
    in is passed through.

    \b
    Edit one field, and leave all else as it was:
      mainstay translate goal.json > record.json
      mainstay translate record.json --onto goal.json
    """
    if onto is not None and to == "records":
        raise click.UsageError("--onto goes with --to fhir: originals are FHIR")
    if onto == "-" and "-" in files:
        raise click.UsageError("standard input can be read once: FILE or --onto, not both")
    originals = None if onto is None else items([onto])
    refusals = terminal.Refusals()
    total = 0
    with nullcontext() if report is None else report:
        for item, out in _translations(items(files), to, originals):
            total += 1
            terminal.write_line(out.tree)
            if report is not None:
                report.write(exact_json.dump(_loss(out)).encode() + b"\n")
            if out.findings:
                refusals.add(item.where, out.findings)
    left = 0 if originals is None else sum(1 for _ in originals)
    refusals.end(total)
    if left:
        terminal.say(f"--onto has {left} more originals than there are records")
    if refusals.count or left:
        end(FOUND)


def _translations(
    given: Iterable[Item], to: str | None, originals: Iterator[Item] | None
) -> Iterator[tuple[Item, Translated]]:
    missing = Item("--onto", findings=[Finding("", "there is none; --onto is shorter", "not-found")])
    for item in terminal.progressing("Translating", given):
        original = None if originals is None else next(originals, missing)
        yield item, translated(item, to, original)


def _loss(out: Translated) -> dict[str, Any]:
    return {"type": out.resource_type, "id": out.id, "loss": out.loss}
