"""mainstay backup, restore: copies of all that the database holds."""

from pathlib import Path

import click

from service.cli import terminal
from service.cli.opened import configured, database_of, require_current
from service.store import backup as backups


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy all that is kept into FILE, consistent also while the service runs."""
    database = database_of(configured())
    require_current(database)
    backups.backup(database, file)
    terminal.say(f"Written to {file}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put what FILE holds into an empty database."""
    database = database_of(configured())
    database.upgrade()
    backups.restore(database, file)
    terminal.say("Restored.")
