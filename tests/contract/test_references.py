"""What references may point at."""

from typing import Any

import pytest

from tests.contract.server import PATIENTS, Server, address, assert_refused, unique


def test_a_reference_to_what_is_missing_is_refused(server: Server) -> None:
    outcome = assert_refused(server.post(server.goal(subject={"reference": f"Patient/{unique()}"})), 400)

    assert "Goal.subject" in outcome["issue"][0]["diagnostics"]


def test_a_reference_to_what_was_deleted_is_refused(server: Server) -> None:
    goal = server.made(server.goal())
    server.delete(goal)

    assert_refused(server.post(server.plan(goal=[{"reference": f"Goal/{goal['id']}"}])), 400)


@pytest.mark.parametrize("path", ["goal", "activity", "partOf"])
def test_the_references_of_a_plan_must_be_there(server: Server, path: str) -> None:
    types = {"goal": "Goal", "activity": "ServiceRequest", "partOf": "CarePlan"}
    missing = {"reference": f"{types[path]}/{unique()}"}

    assert_refused(
        server.post(server.plan(**{path: [{"reference": missing} if path == "activity" else missing]})), 400
    )


def test_a_reference_to_a_wrong_type_is_unprocessable(server: Server) -> None:
    goal = server.made(server.goal())

    assert_refused(server.post(server.goal(subject={"reference": f"Goal/{goal['id']}"})), 422)
    assert_refused(server.post(server.goal(addresses=[server.subject])), 422)


def test_an_update_is_checked_like_a_create(server: Server) -> None:
    created = server.made(server.goal())

    assert_refused(server.put({**created, "subject": {"reference": f"Patient/{unique()}"}}), 400)
    assert server.get(address(created)).json() == created


@pytest.mark.parametrize(
    "reference",
    ["urn:uuid:6f1d2f0e-0b0e-4a4e-9d0e-2b7c3b9f0a11", "nonsense", "http://example.org/fhir/Patient/1"],
)
def test_a_subject_that_is_not_on_this_server_is_refused(server: Server, reference: str) -> None:
    """An absolute URL too, even with the server's own base: it has to be told to allow those."""
    assert_refused(server.post(server.goal(subject={"reference": reference})), 400)


def test_a_subject_by_the_servers_own_absolute_url_is_refused(server: Server) -> None:
    absolute = f"{server.base}/Patient/{server.patient_id}"

    assert_refused(server.post(server.goal(subject={"reference": absolute})), 400)


@pytest.mark.parametrize(
    "elements",
    [
        {"addresses": [{"reference": "Condition/not-there"}]},
        {"addresses": [{"reference": "http://example.org/fhir/Condition/1"}]},
        {"expressedBy": {"reference": "Practitioner/not-there"}},
        {
            "extension": [
                {"url": "http://example.org/e", "valueReference": {"reference": "Patient/not-there"}}
            ]
        },
    ],
    ids=["missing condition", "absolute condition", "missing practitioner", "extension"],
)
def test_references_that_nobody_can_search_by_are_not_looked_up(
    server: Server, elements: dict[str, Any]
) -> None:
    assert server.post(server.goal(**elements)).status_code == 201


def test_a_logical_reference_is_accepted(server: Server) -> None:
    logical = {"type": "Patient", "identifier": {"system": PATIENTS, "value": unique()}}

    assert server.made(server.goal(subject=logical))["subject"] == logical


def test_a_reference_to_a_contained_resource_is_accepted(server: Server) -> None:
    goal = server.goal(subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}])

    assert server.made(goal)["subject"] == {"reference": "#p"}


def test_a_version_in_a_reference_is_dropped(server: Server) -> None:
    versioned = {"reference": f"Patient/{server.patient_id}/_history/1"}

    assert server.made(server.goal(subject=versioned))["subject"] == server.subject


def test_a_conditional_reference_is_resolved_or_not_found(server: Server) -> None:
    value = unique()
    patient = server.made({"resourceType": "Patient", "identifier": [{"system": PATIENTS, "value": value}]})

    created = server.made(server.goal(subject={"reference": f"Patient?identifier={PATIENTS}|{value}"}))

    assert created["subject"]["reference"] == f"Patient/{patient['id']}"
    missing = {"reference": f"Patient?identifier={PATIENTS}|{unique()}"}
    assert_refused(server.post(server.goal(subject=missing)), 404)
