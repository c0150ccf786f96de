"""Databases that take no more, each in a way of its own."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from service.store.database import Database


def fill(database: Database) -> None:
    """Let a SQLite database grow no further, from its next connection on."""

    def limit(connection: Any, _: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database.engine.dispose()
    event.listen(database.engine, "connect", limit)


@contextmanager
def no_larger_files(most: int) -> Iterator[None]:
    """Let this process write no file beyond a size: what it writes past it fails, as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def set_for_all(database: Database, setting: str) -> None:
    """Set something for all further connections to a PostgreSQL database."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET {setting}'))
    database.engine.dispose()
