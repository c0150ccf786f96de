"""Writes, as servers answer them in good faith: done is done, whatever the answer shows of it."""

from typing import Any

import pytest
import responses

from fhir_mappings import exact_json
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Address, Answered, Refused

BASE = "https://ehr.test/fhir"
GOAL = {"resourceType": "Goal", "id": "1"}
FHIR: dict[str, Any] = {"content_type": "application/fhir+json"}
FHIR_HEADERS = {"Content-Type": "application/fhir+json"}
CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"


OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational"}],
}


@pytest.fixture
def client() -> FHIRClient:
    return FHIRClient(BASE)


@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        exact_json.dump(OUTCOME),
        '{"resourceType": "Goal"}',
        '{"resourceType": "Goal", "id": 77}',
        '{"resourceType": "Goal", "id": "../x"}',
        '{"resourceType": "Goal", "id": "78"}',
        '{"resourceType": "Bundle", "id": "77"}',
        "",
        " ",
    ],
)
@pytest.mark.parametrize("method", ["create", "update"])
def test_a_write_that_is_answered_with_something_else_is_one_without_a_body(
    client: FHIRClient, body: str, method: str
) -> None:
    headers = {"Location": "/fhir/Goal/77/_history/3", "ETag": 'W/"3"'}
    responses.post(f"{BASE}/Goal", body, status=201, headers=headers, **FHIR)
    responses.put(f"{BASE}/Goal/77", body, headers={"ETag": 'W/"3"'}, **FHIR)
    if method == "create":
        assert client.create(GOAL) == Answered(
            201, body=None, version="3", address=Address("Goal", "77", "3")
        )
    else:
        outcome = client.update({**GOAL, "id": "77"}, version="2")
        assert outcome == Answered(200, body=None, version="3", address=Address("Goal", "77"))


@responses.activate
@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_an_outcome_that_names_an_error_refuses_whatever_its_status(
    client: FHIRClient, severity: str
) -> None:
    refusal = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "invalid"}]}
    responses.post(f"{BASE}/Goal", json=refusal, status=200, **FHIR)
    responses.put(f"{BASE}/Goal/1", json=refusal, status=202, **FHIR)
    assert client.create(GOAL) == Refused(200, outcome=refusal)
    assert client.update(GOAL, version="1") == Refused(202, outcome=refusal)
    # What names a version was stored all the same.
    responses.add(responses.PUT, f"{BASE}/Goal/2", json=refusal, headers={"ETag": 'W/"2"'}, **FHIR)
    assert client.update({**GOAL, "id": "2"}, version="1") == Answered(
        200, body=None, version="2", address=Address("Goal", "2")
    )


@responses.activate
def test_a_write_that_says_where_it_is_was_done_whatever_its_body(client: FHIRClient) -> None:
    headers = {"Location": f"{BASE}/Goal/77"}
    responses.post(f"{BASE}/Goal", "<p>Created</p>", status=201, headers=headers, content_type="text/html")
    assert client.create(GOAL) == Answered(201, body=None, version=None, address=Address("Goal", "77"))


@responses.activate
def test_an_address_of_another_type_is_not_where_the_resource_is(client: FHIRClient) -> None:
    headers = {"Location": f"{BASE}/AuditEvent/9/_history/1"}
    responses.post(f"{BASE}/Goal", json=OUTCOME, status=201, headers=headers, **FHIR)
    outcome = client.create(GOAL)
    assert isinstance(outcome, Answered)
    assert (outcome.body, outcome.address) == (None, None)


@responses.activate
@pytest.mark.parametrize("version", [None, "7"])
def test_an_update_without_a_version_names_none(client: FHIRClient, version: str | None) -> None:
    responses.put(f"{BASE}/Goal/1", json=GOAL, **FHIR)
    client.update(GOAL, version=version)
    named = responses.calls[0].request.headers.get("If-Match")
    assert named == (None if version is None else 'W/"7"')


BUNDLE = {"resourceType": "Bundle", "type": "transaction", "entry": []}


@responses.activate
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", [f"{BASE}/", "/fhir/", "//ehr.test/fhir/", "https://EHR.test:443/fhir/"])
def test_a_bundle_follows_a_redirect_to_the_same_servers_own(
    client: FHIRClient, status: int, location: str
) -> None:
    responses.post(BASE, status=status, headers={"Location": location})
    responses.post(f"{BASE}/", json={"resourceType": "Bundle"}, **FHIR)
    assert isinstance(client.bundle(BUNDLE), Answered)
    assert isinstance(client.bundle(BUNDLE), Answered)
    # Found once, it is not asked for again.
    assert [call.request.url for call in responses.calls] == [BASE, f"{BASE}/", f"{BASE}/"]
    assert responses.calls[0].request.body == responses.calls[2].request.body


@responses.activate
@pytest.mark.parametrize(
    ("status", "location"),
    [
        (308, "http://ehr.test/fhir/"),
        (308, "https://elsewhere.test/fhir/"),
        (308, "https://ehr.test/elsewhere/"),
        (308, "https://ehr.test\\@elsewhere.test/fhir/"),
        (308, "http://[::1"),
        (307, None),
        (301, f"{BASE}/"),
        (302, f"{BASE}/"),
        (303, f"{BASE}/"),
    ],
)
def test_a_bundle_follows_no_other_redirect(client: FHIRClient, status: int, location: str | None) -> None:
    responses.post(BASE, status=status, headers={"Location": location} if location else {})
    assert client.bundle(BUNDLE) == Refused(status, location=location)
    assert len(responses.calls) == 1


@responses.activate
def test_a_bundle_that_is_sent_on_and_on_is_sent_on_once(client: FHIRClient) -> None:
    responses.post(BASE, status=308, headers={"Location": f"{BASE}/"})
    responses.post(f"{BASE}/", status=308, headers={"Location": BASE})
    assert client.bundle(BUNDLE) == Refused(308, location=BASE)
    assert len(responses.calls) == 2
