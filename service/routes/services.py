"""What the views work with, put together once by ``create_app``, and who asks right now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app, g

from service.auth import Principal, TokenVerifier
from service.chart import Chart, PatientRegister
from service.config import Config
from service.metrics import Metrics
from service.store.database import Database
from service.store.readiness import Readiness
from service.sync.engine import Sync

_KEY = "mainstay"


@dataclass(frozen=True)
class Services:
    """verifier: None where no authentication is configured."""

    config: Config
    database: Database
    readiness: Readiness
    chart: Chart
    register: PatientRegister
    sync: Sync
    metrics: Metrics
    verifier: TokenVerifier | None
    clock: Callable[[], datetime]


def services() -> Services:
    """Return the services of the app that answers this request."""
    return cast("Services", current_app.extensions[_KEY])


def chart() -> Chart:
    return services().chart


def register() -> PatientRegister:
    return services().register


def sync() -> Sync:
    return services().sync


def principal() -> Principal:
    """Return who asks; set by the gate before any view runs."""
    return cast("Principal", g.principal)
