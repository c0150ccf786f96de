"""Every test of the contract runs twice: against the sandbox, and against HAPI."""

from collections.abc import Iterator

import pytest
import requests

from service.sandbox import running
from tests.contract.server import PATIENTS, Server, unique


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    with running() as base:
        yield base


@pytest.fixture(scope="session", params=["sandbox", "hapi"])
def base(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def server(base: str) -> Server:
    patient = {"resourceType": "Patient", "identifier": [{"system": PATIENTS, "value": unique()}]}
    answer = requests.post(
        f"{base}/Patient", json=patient, headers={"Content-Type": "application/fhir+json"}, timeout=30
    )
    assert answer.status_code == 201
    return Server(base, answer.json()["id"])
