"""The composition root: the store and what works on it, put together as the settings say; for app and CLI."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.chart import Chart, PatientRegister
from service.config import Config
from service.fhir_client.client import FHIRClient
from service.store.database import Database
from service.sync.engine import Sync
from service.sync.identity.identifiers import same_systems
from service.sync.identity.matching import MatchRules
from service.sync.server import connections
from service.sync.server.connections import Connection

Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Components:
    """All that acts on one database."""

    config: Config
    database: Database
    chart: Chart
    register: PatientRegister
    sync: Sync
    clock: Clock


def utc_now() -> datetime:
    return datetime.now(UTC)


def wired(
    config: Config, *, database: Database | None = None, clock: Clock = utc_now, sync: Sync | None = None
) -> Components:
    """Put the components together; what is handed in is taken as it is."""
    database = database or Database(config.database_url)
    chart = Chart(database, clock)
    return Components(
        config=config,
        database=database,
        chart=chart,
        register=PatientRegister(database, clock),
        sync=sync if sync is not None else sync_of(config, database, chart, clock),
        clock=clock,
    )


def sync_of(config: Config, database: Database, chart: Chart, clock: Clock) -> Sync:
    """Return synchronisation with the servers of a database, as the settings have it."""
    return Sync(
        database,
        chart,
        lambda connection: client_of(config, connection),
        clock,
        batch_size=config.sync_batch_size,
        match_rules=MatchRules(
            patients_for=timedelta(seconds=config.patient_match_seconds),
            references_for=timedelta(seconds=config.reference_match_seconds),
            same_systems=same_systems(config.same_identifier_systems),
        ),
    )


def client_of(config: Config, connection: Connection) -> FHIRClient:
    """Return the client of one connection, with its token as it is in its file by now."""
    return FHIRClient(
        connection.base_url,
        token=connections.token_in(connection.token_file),
        timeout_seconds=config.request_timeout_seconds,
        listing_seconds=config.listing_timeout_seconds,
    )
