"""What each error of a driver means: a table."""

import sqlite3

import psycopg
import pytest

from service.errors import InsufficientStorage, Unavailable
from service.store.driver_errors import refusal


def sqlite(code: int, message: str = "seeded") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


def postgres(state: str) -> psycopg.Error:
    return psycopg.errors.lookup(state)("seeded")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (sqlite(5), "is busy"),
        (sqlite(6), "is busy"),
        (sqlite(517), "is busy"),  # SQLITE_BUSY_SNAPSHOT
        (sqlite(8), "can only be read"),
        (sqlite(1032), "can only be read"),  # SQLITE_READONLY_DBMOVED
        (sqlite(10), "disk of the database reports an error"),
        (sqlite(778), "disk of the database reports an error"),  # SQLITE_IOERR_WRITE
        (sqlite(11), "damaged"),
        (sqlite(26), "damaged"),
        (sqlite(14), "cannot be opened"),
        (sqlite(1, "no such table: records"), "db upgrade"),
        (postgres("25006"), "can only be read"),
        (postgres("42501"), "does not let this user write"),
        (postgres("53200"), "no memory"),
        (postgres("53300"), "no more connections"),
        (postgres("53400"), "a limit of its own"),
        (postgres("57P01"), "being stopped or started"),
        (postgres("57P03"), "being stopped or started"),
        (postgres("57014"), "took too long"),
        (postgres("40001"), "is busy"),
        (postgres("40P01"), "is busy"),
        (postgres("55P03"), "is busy"),
        (postgres("58030"), "disk of the database reports an error"),
        (postgres("XX001"), "damaged"),
        (postgres("28P01"), "does not let this user in"),
        (postgres("3D000"), "no database of that name"),
        (postgres("08006"), "cannot be reached"),
        (postgres("42P01"), "db upgrade"),
        (psycopg.OperationalError("connection refused"), "cannot be reached"),
        (psycopg.OperationalError("FATAL: seeded"), "refuses the connection"),
    ],
)
def test_each_error_has_its_own_sentence_with_nothing_of_the_drivers(error: Exception, problem: str) -> None:
    said = refusal(error)
    assert isinstance(said, Unavailable)
    assert problem in str(said)
    assert "seeded" not in str(said)


@pytest.mark.parametrize("error", [sqlite(13), postgres("53100")])
def test_a_full_disk_is_an_error_of_its_own(error: Exception) -> None:
    said = refusal(error)
    assert isinstance(said, InsufficientStorage)
    assert (said.status, "full" in str(said)) == (507, True)


@pytest.mark.parametrize(
    "error",
    [sqlite(1, "near SELEKT"), postgres("42601"), postgres("22021"), psycopg.InterfaceError("x"), None],
)
def test_what_only_a_defect_of_ours_explains_is_none_of_them(error: Exception | None) -> None:
    assert refusal(error) is None
