"""mainstay doctor: what is configured, reachable, wrong, and what to do about it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from service.chart import audit
from service.cli import terminal
from service.cli.exits import FOUND, end
from service.cli.opened import configured, database_of
from service.config import Config, ConfigError
from service.errors import InsufficientStorage, ServiceError
from service.fhir_client.outcomes import Answered
from service.routes.middleware import require_safe_binding
from service.smart import signing_keys
from service.store import moments, trial
from service.store.database import Database
from service.sync.engine import Sync
from service.sync.server.connection_rules import DEFAULT
from service.sync.server.connections import Connection, token_of
from service.wiring import client_of, utc_now, wired

#: So many records are looked at, here and there.
SAMPLE = 1000
#: A clock that differs by more makes tokens and `_lastUpdated` searches go wrong.
MOST_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Seen:
    """One thing that was looked at. to_do: what to do about it; None where all is well."""

    what: str
    seen: str
    to_do: str | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per thing looked at.")
def doctor(as_json: bool) -> None:
    """Say what is configured, reachable and wrong, and what to do. Exit code 1 if anything is wrong."""
    found = list(examine())
    rows = [
        {"": "ok" if one.to_do is None else "!!", "what": one.what, "seen": one.seen, "what to do": one.to_do}
        for one in found
    ]
    if as_json:
        for one in found:
            terminal.write_line(
                {"what": one.what, "ok": one.to_do is None, "seen": one.seen, "to_do": one.to_do}
            )
    else:
        terminal.told(("", "what", "seen", "what to do"), rows, as_json=False)
    if any(one.to_do for one in found):
        end(FOUND)


def examine() -> Iterator[Seen]:
    """Look at everything, as far as what comes before it lets it be looked at."""
    try:
        config = configured()
        with database_of(config) as database:
            yield Seen("settings", "read from the environment")
            yield _binding(config)
            if config.requires_token:
                yield _signing_keys(config, signing_keys.fetch)
            on_database = list(_database(database))
            yield from on_database
            if all(one.to_do is None for one in on_database if one.what == "database"):
                yield _clock(database, utc_now())
                sync = wired(config, database=database).sync
                yield _ownership(database)
                yield from _connections(config, sync)
                yield from _states(sync)
    except ConfigError as error:
        yield Seen("settings", "cannot be used", str(error))


def _binding(config: Config) -> Seen:
    where = f"{config.host}:{config.port}"
    try:
        require_safe_binding(config)
    except ValueError as error:
        return Seen("address", where, str(error))
    if config.public_url and not config.requires_token:
        to_do = "Set the MAINSTAY_AUTH_ settings; until then every data route answers 401."
        return Seen("address", f"{where}, for others {config.public_url}, without a token", to_do)
    who = "with a token" if config.requires_token else "without a token, from this machine alone"
    return Seen("address", f"{where}, {who}")


def _signing_keys(config: Config, fetch: Callable[[str], object]) -> Seen:
    try:
        keys = fetch(config.auth_jwks_url or "")
    except (OSError, ValueError):
        return Seen("signing keys", "cannot be read", "Check MAINSTAY_AUTH_JWKS_URL and the network.")
    listed = keys.get("keys") if isinstance(keys, dict) else None
    if not isinstance(listed, list) or not listed:
        return Seen("signing keys", "none", "MAINSTAY_AUTH_JWKS_URL has to name the issuer's key set.")
    return Seen("signing keys", f"{len(listed)} of the issuer")


def _database(database: Database) -> Iterator[Seen]:
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    name = database.url.database or ""
    is_file = database.is_sqlite and name not in ("", ":memory:") and not name.startswith("file:")
    file = Path(name) if is_file else None
    if file is not None and not file.exists():
        yield Seen("database", f"{kind}, not made yet", "Run `mainstay db upgrade`.")
        return
    if file is not None and not (os.access(file, os.W_OK) and os.access(file.absolute().parent, os.W_OK)):
        yield Seen("database", f"{kind}, read only", "Let this user write the file and its directory.")
        return
    if file is not None and file.stat().st_mode & 0o077:
        # Records of people: nobody else on this machine has to read them.
        yield Seen("database file", "can be read by other users", f"Run `chmod 600 {file}`.")
    try:
        revision, current = database.revision(), database.is_current()
        if current:
            trial.require_writable(database)
    except InsufficientStorage as error:
        yield Seen("database", f"{kind}: {error}", "Make room on its disk; nothing can be stored until then.")
        return
    except ServiceError as error:
        yield Seen("database", f"{kind}: {error}", "Check MAINSTAY_DATABASE_URL, the server and its disk.")
        return
    if current:
        yield Seen("database", f"{kind}, at revision {revision}, takes what is written")
    else:
        yield Seen("database", f"{kind}, at revision {revision or 'none'}", "Run `mainstay db upgrade`.")


def _clock(database: Database, now: datetime) -> Seen:
    """Compare this machine's clock with those by which the database was written."""
    with database.read() as session:
        latest = moments.latest(session)
    ahead = (latest - now).total_seconds() if latest else 0.0
    if ahead <= MOST_SKEW_SECONDS:
        return Seen("clock", "later than all that the database holds")
    return Seen(
        "clock",
        f"the database holds moments up to {latest:%Y-%m-%d %H:%M} UTC, {_span(ahead)} ahead of this machine",
        "Set this machine's clock (NTP). If it is right now, it or another one was ahead before: what was "
        "written then is sent all the same.",
    )


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:.0f} days" if seconds > 2 * 86_400 else f"{seconds / 60:.0f} minutes"


def _connections(config: Config, sync: Sync) -> Iterator[Seen]:
    known = {connection.name: connection for connection in sync.connections()}
    if not known and not config.fhir_base_url:
        yield Seen("connections", "none; nothing is sent anywhere until `mainstay connection add`")
    default = known.get(DEFAULT)
    wanted = (config.fhir_base_url or "").rstrip("/")
    if default and wanted and default.base_url != wanted:
        yield Seen(
            f"connection {DEFAULT}",
            "leads elsewhere than MAINSTAY_FHIR_BASE_URL",
            "Unset MAINSTAY_FHIR_BASE_URL, or add the new server under another name.",
        )
    for connection in known.values():
        yield from _connection(config, sync, connection)


def _connection(config: Config, sync: Sync, connection: Connection) -> Iterator[Seen]:
    what = f"connection {connection.name}"
    if connection.token_file is not None:
        problem = _token_file(Path(connection.token_file))
        yield Seen(f"{what}, token", problem or "readable", problem and f"Mend {connection.token_file}.")
    check = sync.check_connection(connection.name)
    if check.problem:
        yield Seen(what, check.problem, check.next_step or "Check the address.")
        return
    yield Seen(what, f"answers; takes {', '.join(check.writable) or 'nothing'}")
    asked = client_of(config, connection).capabilities()
    if isinstance(asked, Answered) and asked.server_time is not None:
        seconds = abs((asked.server_time - utc_now()).total_seconds())
        wrong = seconds > MOST_SKEW_SECONDS
        yield Seen(
            f"{what}, clock", f"{seconds:.0f} s apart", "Set this machine's clock (NTP)." if wrong else None
        )


def _token_file(file: Path) -> str | None:
    try:
        token_of(file)
        mode = file.stat().st_mode
    except OSError:
        return "cannot be read"
    except ValueError:
        return "does not hold one token"
    return "can be read by other users" if mode & 0o077 else None


def _ownership(database: Database) -> Seen:
    """Look at some rows: each record has to be its patient's, whoever wrote it."""
    with database.read() as session:
        found = list(islice(audit.breaches(session, sample=SAMPLE), 3))
    if not found:
        return Seen("whose records are", "all looked at are their patient's")
    named = "; ".join(f"{row.record_id}: {row.findings[0].path} {row.findings[0].problem}" for row in found)
    return Seen(
        "whose records are", f"not all are their patient's: {named}", "Correct or withdraw these records."
    )


def _states(sync: Sync) -> Iterator[Seen]:
    summary = sync.summary()
    states = ", ".join(f"{count} {state}" for state, count in summary.states.items() if count)
    waiting = [state for state in ("conflict", "moved", "rejected", "unmatched") if summary.states.get(state)]
    to_do = "; ".join(f"`mainstay sync status --state {state}`" for state in waiting)
    yield Seen("records", states or "none to send", f"They wait for a person: {to_do}." if to_do else None)
