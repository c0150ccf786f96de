"""Schemathesis over openapi.yaml with authentication on: every operation, with data good and bad.

No server error, no undocumented answer; and each operation also reaches a 2xx.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok, Result
from schemathesis.core.transport import Response
from schemathesis.errors import InvalidSchema
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fhir_mappings.exact_json import Tree
from service.openapi import PATH
from service.sandbox import create_sandbox
from service.store.database import Database
from tests.service.routes.live import served
from tests.service.routes.requests_that_succeed import REQUESTS, TYPE_OF
from tests.service.routes.world import World

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = schemathesis.openapi.from_path(PATH)

Operation = APIOperation[Any, Any, Any, Any]


def valid(described: Result[Operation, InvalidSchema]) -> Operation:
    assert isinstance(described, Ok), described
    return described.ok()


OPERATIONS = {operation.label: operation for operation in map(valid, DOCUMENT.get_all_operations())}

#: Cases per operation and kind of data; each costs about 10 ms.
CASES = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('schemathesis') / 'mainstay.db'}")
    database.upgrade()
    sandbox = create_sandbox()
    with served(sandbox) as url:
        world = World(database, sandbox, url)
        DOCUMENT.app = world.app
        yield world
    database.close()


def called(world: World, case: Case[Any]) -> Response:
    """Send a case with the token, and hold the answer against the document."""
    bearer = {"Authorization": f"Bearer {world.bearer}"}
    return case.call_and_validate(headers=bearer, checks=CHECKS, app=world.app)


@pytest.mark.parametrize("label", OPERATIONS)
def test_each_operation_reaches_a_success(world: World, label: str) -> None:
    operation = OPERATIONS[label]
    said = REQUESTS[label](world)
    media_type = next(iter(operation.body)).media_type if "body" in said else None
    case = operation.Case(**said, media_type=media_type)
    response = called(world, case)
    assert 200 <= response.status_code < 300, response.text


def takes_something(operation: Operation) -> bool:
    return bool(list(operation.iter_parameters()) or list(operation.body))


def reaching_further(world: World, body: Tree) -> Tree:
    """Return a body with what only this test can know: a subject who is registered, a server on loopback."""
    if "subject" in body:
        body = {**body, "subject": world.subject}
    if isinstance(body.get("base_url"), str):
        body = {**body, "base_url": f"http://127.0.0.1:9/{uuid4()}"}
    return body


def known_id(world: World, label: str) -> str:
    """Return the id of a record of the operation's type, or else of a goal."""
    words = label.split()[1].split("/")
    resource_type = words[2] if words[1] == "fhir" else TYPE_OF.get(words[3], "Goal")
    return world.known(resource_type)


KINDS = [
    pytest.param(label, mode, id=f"{label} {mode.value}")
    for label, operation in OPERATIONS.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or takes_something(operation)
]


@pytest.mark.parametrize(("label", "mode"), KINDS)
def test_no_request_gets_an_undocumented_answer(world: World, label: str, mode: GenerationMode) -> None:
    @settings(
        max_examples=CASES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
        deadline=None,
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), at_home=strategies.booleans())
    def attempt(case: Case[Any], at_home: bool) -> None:
        if at_home and "record_id" in case.path_parameters:
            case.path_parameters = {**case.path_parameters, "record_id": known_id(world, label)}
            case.headers = CaseInsensitiveDict({**case.headers, "If-Match": 'W/"1"'})
        if isinstance(case.body, dict):
            case.body = reaching_further(world, case.body)
        called(world, case)

    attempt()
