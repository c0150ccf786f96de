"""mainstay db: the schema of the database."""

import click

from service.cli import terminal
from service.cli.opened import configured, database_of


@click.group()
def db() -> None:
    """Care for the database."""


@db.command()
def upgrade() -> None:
    """Make the database, or bring it to this version."""
    with database_of(configured()) as database:
        database.upgrade()
        terminal.say(f"The database is at revision {database.revision()}.")
