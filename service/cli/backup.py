"""mainstay backup, restore: copies of all that the database holds."""

from pathlib import Path

import click

from service.chart import audit
from service.cli import terminal
from service.cli.opened import configured, database_of, require_current
from service.store import backup as backups


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy all that is kept into FILE, consistent also while the service runs."""
    with database_of(configured()) as database, terminal.counting("Writing") as progress:
        require_current(database)
        summary = backups.backup(database, file, progress)
    terminal.say(f"{summary.rows} rows written to {file}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put what FILE holds into an empty database."""
    with database_of(configured()) as database, terminal.counting("Reading") as progress:
        summary = backups.restore(database, file, progress, check=audit.require_lawful)
    terminal.say(f"{summary.rows} rows restored.")
