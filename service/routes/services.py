"""What the views work with, put together once by ``create_app``, and who asks right now."""

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from service.auth import Principal, TokenVerifier
from service.chart import Chart, PatientRegister
from service.metrics import Metrics
from service.store.readiness import Readiness
from service.sync.engine import Sync
from service.wiring import Components

_KEY = "mainstay"


@dataclass(frozen=True, kw_only=True)
class Services(Components):
    """The components, and what the HTTP face adds. verifier: None where no authentication is configured."""

    readiness: Readiness
    metrics: Metrics
    verifier: TokenVerifier | None


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
    """Return who asks; set by the middleware before any view runs."""
    return cast("Principal", g.principal)
