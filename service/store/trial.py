"""A trial write: whether a database takes what it is given, found out without leaving anything behind."""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.errors import InsufficientStorage, Unavailable
from service.store import driver_errors
from service.store.database import BUSY_SECONDS, Database

#: Room for a large record and its history; with less the next one may not fit.
_BYTES = 256 * 1024

_SORT = text(
    "SELECT count(*) FROM (SELECT repeat('x', 1000) || number AS padding"
    " FROM generate_series(1, :rows) AS number ORDER BY padding) AS sorted"
)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def _nameless(directory: Path) -> IO[bytes]:
    # Nothing of it stays, whenever this process ends.
    return tempfile.TemporaryFile(dir=directory)


def require_writable(database: Database, new_file: Callable[[Path], IO[bytes]] = _nameless) -> None:
    """Raise InsufficientStorage or Unavailable where a write would. Waits for no other writer.

    new_file: opens one in a directory.
    """
    try:
        if database.is_sqlite:
            _try_sqlite(database, new_file)
        else:
            _try_postgres(database)
    except (DBAPIError, sqlite3.Error) as error:
        refusal = driver_errors.refusal(error.orig if isinstance(error, DBAPIError) else error)
        if refusal is None:
            raise
        # Somebody else writes right now, so it can be written.
        if str(refusal) != driver_errors.BUSY:
            raise refusal from None


def _try_sqlite(database: Database, new_file: Callable[[Path], IO[bytes]]) -> None:
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        (file,) = (row[2] for row in driver.execute("PRAGMA database_list") if row[1] == "main")
        if file:
            _try_disk(Path(file).parent, new_file)
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            driver.execute("BEGIN IMMEDIATE")
            driver.execute(
                "INSERT INTO deployment (id, identifier_system) VALUES (-1, hex(zeroblob(?)))", (_BYTES // 2,)
            )
        finally:
            driver.rollback()
            driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _try_disk(directory: Path, new_file: Callable[[Path], IO[bytes]]) -> None:
    # A transaction that is rolled back never reaches the disk, and a small one reuses room that the log has.
    try:
        with new_file(directory) as file:
            file.write(os.urandom(_BYTES))
            file.flush()
    except OSError as error:
        if error.errno in _FULL:
            raise InsufficientStorage(driver_errors.FULL) from None
        raise Unavailable(
            driver_errors.READ_ONLY if error.errno in _READ_ONLY else driver_errors.DISK
        ) from None


def _try_postgres(database: Database) -> None:
    with database.engine.connect() as connection:
        for setting in ("lock_timeout = '1s'", "statement_timeout = '5s'", "work_mem = '64kB'"):
            connection.execute(text(f"SET LOCAL {setting}"))
        # Changes no row, and is refused wherever a change would be.
        connection.execute(text("UPDATE deployment SET id = id WHERE id < 0"))
        # Sorts more than fits into its memory, so that a file is written: tables and log grow by nothing.
        connection.execute(_SORT, {"rows": _BYTES // 1000})
        connection.rollback()
