"""The store and what works on it, opened as the environment says."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from service import logs
from service.config import Config, ConfigError
from service.errors import Conflict, Unavailable
from service.store.database import Database
from service.store.driver_errors import OUTDATED
from service.sync.server import connections
from service.sync.server.connection_rules import DEFAULT
from service.wiring import Components, utc_now, wired

#: Who did it, in the history, when the command line did.
ACTOR = "command-line"


def configured() -> Config:
    """Read the settings. Raises ConfigError."""
    return Config.from_env(os.environ)  # noqa: TID251 - handed to the room that reads it


@contextmanager
def database_of(config: Config) -> Iterator[Database]:
    """Give the database that is configured; nothing is touched yet. Raises ConfigError."""
    try:
        database = Database(config.database_url)
    except ValueError as error:
        raise ConfigError(f"MAINSTAY_DATABASE_URL: {error}") from None
    try:
        yield database
    finally:
        database.close()


@contextmanager
def opened() -> Iterator[Components]:
    """Open the store. Raises Unavailable where its schema is not the one that this version works on."""
    config = configured()
    # A person at a terminal is told by the command itself; only what is wrong is worth a log line.
    logs.configure("WARNING" if config.log_level == "INFO" else config.log_level, config.log_format)
    with database_of(config) as database:
        require_current(database)
        declare_default(config, database)
        yield wired(config, database=database)


def declare_default(config: Config, database: Database) -> None:
    """Add the FHIR server that is configured, if there is none of that name yet."""
    if config.fhir_base_url is None:
        return
    with database.read() as session:
        known = {connection.name for connection in connections.every(session)}
    if DEFAULT not in known:
        with suppress(Conflict), database.begin() as session:  # another process may just have done it
            url, token_file = config.fhir_base_url, config.fhir_token_file
            connections.add(session, DEFAULT, url, token_file, utc_now(), by_settings=True)


def require_current(database: Database) -> None:
    """Raise Unavailable unless the schema is the newest."""
    if not database.is_current():
        raise Unavailable(OUTDATED)
