"""What a driver says went wrong, told apart: a full disk is not a busy database, nor is a missing one.

Sentences of our own: a driver puts the offending values into its messages, and those may be a person's.
"""

import sqlite3

from service.errors import InsufficientStorage, ServiceError, Unavailable

FULL = "The disk of the database is full"
BUSY = "The database is busy"
READ_ONLY = "The database can only be read"
DAMAGED = "The database is damaged, or is none"
DISK = "The disk of the database reports an error"
UNREACHABLE = "The database cannot be reached"
OUTDATED = "The database is not of this version; run `mainstay db upgrade`"

#: By primary result code (https://www.sqlite.org/rescode.html).
_SQLITE = {
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_NOMEM: "The database has no memory left",
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: DISK,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened",
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}

#: By SQLSTATE, or by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRES = {
    "08": UNREACHABLE,
    "25006": READ_ONLY,
    "28": "The database does not let this user in",
    "3D000": "There is no database of that name",
    "40001": BUSY,
    "40P01": BUSY,
    "42501": "The database does not let this user write",
    "42703": OUTDATED,
    "42P01": OUTDATED,
    "53100": FULL,
    "53200": "The database has no memory left",
    "53300": "The database takes no more connections",
    "53": "The database has reached a limit of its own",
    "55P03": BUSY,
    "57014": "The database ended the query, which took too long",
    "57P": "The database is being stopped or started",
    "58": DISK,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}


def refusal(error: BaseException | None) -> ServiceError | None:
    """Return what is to be said of a driver's error; None where only a defect of ours explains it."""
    problem = _of_sqlite(error) if isinstance(error, sqlite3.Error) else _of_postgres(error)
    if problem is None:
        return None
    return InsufficientStorage(problem) if problem == FULL else Unavailable(problem)


def _of_sqlite(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # A plain error is one in the SQL, which is ours; but not where a table of ours is missing.
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such table", "no such column")):
        return OUTDATED
    return _SQLITE.get(code)


def _of_postgres(error: BaseException | None) -> str | None:
    # Whoever uses SQLite alone need not wait for this to be loaded.
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is not None:
        return next((_POSTGRES[state[:length]] for length in (5, 3, 2) if state[:length] in _POSTGRES), None)
    if not isinstance(error, psycopg.OperationalError):
        return None
    # There is no state without a connection; a server that is there and refuses one says FATAL.
    return "The database refuses the connection" if "FATAL" in str(error) else UNREACHABLE
