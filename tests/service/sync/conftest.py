"""A sandbox that misbehaves on demand, and an office that works with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from flask import Flask, Request, Response

from fhir_mappings import exact_json
from service.sandbox import create_sandbox, running
from service.store.database import Database
from tests.clock import Clock
from tests.service.sync.office import Office


@dataclass
class EHR:
    """A sandbox with hooks that a test sets as it goes."""

    app: Flask
    base_url: str = ""
    before: Callable[[Request], Response | None] = lambda request: None
    after: Callable[[Request, Response], Response | None] = lambda request, response: None
    #: What the CapabilityStatement is not to offer.
    without: set[str] = field(default_factory=set)

    def writes(self) -> list[str]:
        log = self.app.extensions["mainstay_sandbox"].requests
        return [
            f"{one.method} {one.path}" for one in log if one.method != "GET" and "Patient" not in one.path
        ]

    def reads(self) -> int:
        return sum(one.method == "GET" for one in self.app.extensions["mainstay_sandbox"].requests)

    def forget(self) -> None:
        self.app.extensions["mainstay_sandbox"].requests.clear()


@pytest.fixture
def ehr(clock: Clock) -> Iterator[EHR]:
    holder: list[EHR] = []
    app = create_sandbox(
        clock=clock,
        faults=lambda request: holder[0].before(request),
        after_commit=lambda request, response: (
            _limited(holder[0], request, response) or holder[0].after(request, response)
        ),
    )
    holder.append(EHR(app))
    with running(app) as base_url:
        holder[0].base_url = base_url
        yield holder[0]


def _limited(ehr: EHR, request: Request, response: Response) -> Response | None:
    """Leave out of the CapabilityStatement what the server is not to offer."""
    if not request.path.endswith("/metadata") or not ehr.without:
        return None
    statement = exact_json.parse(response.get_data())
    rest = statement["rest"][0]
    rest["interaction"] = [one for one in rest["interaction"] if one["code"] not in ehr.without]
    for one in rest["resource"]:
        one["conditionalCreate"] = "conditionalCreate" not in ehr.without
        one["searchParam"] = [param for param in one["searchParam"] if param["name"] not in ehr.without]
        one["interaction"] = [
            interaction for interaction in one["interaction"] if interaction["code"] not in ehr.without
        ]
    response.set_data(exact_json.dump(statement))
    return response


@pytest.fixture
def office(database_url: str, ehr: EHR, clock: Clock) -> Iterator[Office]:
    """An office connected to the sandbox, on each database."""
    database = Database(database_url)
    database.upgrade()
    one = Office(database, ehr.base_url, clock)
    one.connect()
    ehr.forget()
    yield one
    database.close()
