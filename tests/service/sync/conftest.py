"""A sandbox that misbehaves on demand, and an office that works with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from flask import Flask, Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox, running
from service.store.database import Database
from tests.clock import Clock
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere


@dataclass
class EHR:
    """A sandbox with hooks that a test sets as it goes."""

    app: Flask
    base_url: str = ""
    before: Callable[[Request], Response | None] = lambda request: None
    after: Callable[[Request, Response], Response | None] = lambda request, response: None
    #: What the CapabilityStatement is not to offer.
    without: set[str] = field(default_factory=set)
    #: What was sent to be written, and what was asked about Patients, in the order in which it came.
    sent: list[Tree] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)

    def writes(self) -> list[str]:
        log = self.app.extensions["mainstay_sandbox"].requests
        return [
            f"{one.method} {one.path}" for one in log if one.method != "GET" and "Patient" not in one.path
        ]

    def subjects(self) -> set[str]:
        """Return whom what was sent is about, whatever became of it."""
        return {one["subject"]["reference"] for one in self.sent}

    def reads(self) -> int:
        return sum(one.method == "GET" for one in self.app.extensions["mainstay_sandbox"].requests)

    def forget(self) -> None:
        self.app.extensions["mainstay_sandbox"].requests.clear()
        self.sent.clear()
        self.looks.clear()

    def seen(self, request: Request) -> Response | None:
        """Keep what a request is about, and misbehave if a test says so."""
        self._note(request)
        return self.before(request)

    def _note(self, request: Request) -> None:
        body = exact_json.parse(request.get_data()) if request.method in ("POST", "PUT") else {}
        entries = body["entry"] if body.get("resourceType") == "Bundle" else [{"resource": body}]
        trees = [entry["resource"] for entry in entries if "resource" in entry]
        self.sent += [one for one in trees if one.get("resourceType") not in (None, "Patient")]
        reads = [entry for entry in entries if entry.get("request", {}).get("method") == "GET"]
        if reads:
            self.looks.append(f"batch of {len(reads)}")
        elif request.method == "GET" and request.path.startswith("/fhir/Patient"):
            one = request.path.removeprefix("/fhir/Patient").strip("/")
            self.looks.append(f"read {one}" if one else "search")


@pytest.fixture
def ehr(clock: Clock) -> Iterator[EHR]:
    holder: list[EHR] = []
    app = create_sandbox(
        clock=clock,
        faults=lambda request: holder[0].seen(request),
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


@pytest.fixture
def there(office: Office) -> PatientsThere:
    return PatientsThere(office)


@pytest.fixture
def goal(office: Office, ehr: EHR) -> str:
    """A goal that arrived so long ago that its patient has to be looked at before it is sent again."""
    goal = office.goal()
    office.sync.push()
    assert office.status(goal).state == "synced"
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    return goal
