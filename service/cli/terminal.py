"""What people and machines get to see: lines of JSON, tables, problems, progress."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding

#: So many refusals are said one by one; a million of them would bury the terminal.
MOST_SAID = 20

#: Columns of a table that goes into a file or another program.
_WIDE = 500

T = TypeVar("T")


def write_line(tree: Any) -> None:
    """Print one line of JSON, numbers as they are."""
    sys.stdout.buffer.write(exact_json.dump(tree).encode() + b"\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; what is absent is left blank, and nothing in a cell is markup."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # Folded, never cut: an id that ends in an ellipsis helps nobody.
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE).print(drawn)


def told(columns: Sequence[str], rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Print rows: a line of JSON each for machines, else a table of the named members."""
    if as_json:
        for row in rows:
            write_line(row)
    else:
        table(columns, ([row.get(column) for column in columns] for row in rows))


def plain(row: Any) -> dict[str, Any]:
    """Return a dataclass as JSON can say it."""
    said: dict[str, Any] = _plain(dataclasses.asdict(row))
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def say(text: str) -> None:
    """Tell a person something, beside the output."""
    click.echo(text, err=True)


class Refusals:
    """Counts what was refused, and says the first ones."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, where: str, findings: Iterable[Finding]) -> None:
        self.count += 1
        if self.count <= MOST_SAID:
            for finding in findings:
                say(f"{where}: {finding if finding.path else finding.problem}")

    def end(self, total: int, what: str = "lines") -> None:
        """Say how many there were."""
        if self.count > MOST_SAID:
            say(f"… and {self.count - MOST_SAID} more")
        if self.count:
            say(f"{self.count} of {total} {what} refused")


@contextmanager
def counting(doing: str) -> Iterator[Callable[[int], None]]:
    """Give what is told how many there are by now; on a terminal it shows that."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(doing, total=None)
        yield lambda count: progress.update(task, completed=count)


def progressing(doing: str, things: Iterable[T]) -> Iterator[T]:
    """Yield the things; on a terminal, show how many there were."""
    with counting(doing) as progress:
        for count, thing in enumerate(things, 1):
            yield thing
            progress(count)
