"""The database: one engine, read and write transactions, and its schema's state."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from service.errors import Conflict, Unavailable
from service.store import driver_errors
from service.store.deployment import settle_identifier_system

__all__ = ["Database", "Session"]

#: How long a writer waits for another one before it gives up.
BUSY_SECONDS = 30

_WRITES = "mainstay_writes"
_MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number will do, as long as every process that migrates takes the same.
_MIGRATION_LOCK = 7_461_023


class Database:
    """Opened by URL: ``sqlite:///file`` or ``postgresql://host/name``. Nothing is touched before use."""

    def __init__(self, url: str) -> None:
        self.url = _with_driver(url)
        self.engine = _engine(self.url)
        self._writer = self.engine.execution_options(**{_WRITES: True})
        self._reader = self.engine.execution_options(**_reader_options(self.url))

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Open a write transaction: committed whole at the end, or not at all."""
        with (
            _said_without_values(),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that sees one moment of the database, and changes nothing."""
        with _said_without_values(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def upgrade(self, identifier_system: str | None = None) -> None:
        """Bring the schema to the newest revision; safe when several processes start at once.

        identifier_system: of the identifiers that records are given; one is made where none is set.
        """
        with _said_without_values(), self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            with Session(connection) as session:
                settle_identifier_system(session, identifier_system)

    def revision(self) -> str | None:
        """Return the schema's revision, None for a database without one."""
        with _said_without_values(), self._reader.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def is_current(self) -> bool:
        """Tell whether the schema is the one that this code expects; False also for an empty database."""
        return self.revision() == newest_revision()

    def close(self) -> None:
        self.engine.dispose()


def newest_revision() -> str | None:
    """Return the revision that this code expects."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the database URL cannot be read") from None
    backend = parsed.get_backend_name()
    if backend == "postgres" or parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend not in ("sqlite", "postgresql"):
        raise ValueError("the database URL has to begin with sqlite:// or postgresql://")
    return parsed


def _engine(url: URL) -> Engine:
    # hide_parameters: an error's text must not hold what a person wrote.
    if url.get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _reader_options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # None: the driver begins no transactions of its own, _begin_sqlite does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once. A transaction that reads first and then writes
    # would be refused when somebody else wrote in between, without any waiting.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _said_without_values() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Conflict("Somebody else stored the same at the same moment") from None
    except PoolTimeoutError:
        raise Unavailable(driver_errors.BUSY) from None
    except DBAPIError as error:
        refusal = driver_errors.refusal(error.orig)
        if refusal is None:
            raise
        raise refusal from error
