"""FHIR clients that were not written by us work against /fhir."""

from collections.abc import Iterator

import fhirclient.client
import pytest
from fhirclient.models.careplan import CarePlan
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.goal import Goal
from fhirclient.server import FHIRNotFoundException
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from flask import Flask

from tests.service.routes.caller import Api, fhir_goal, token
from tests.service.routes.live import served


@pytest.fixture
def base(guarded_app: Flask) -> Iterator[str]:
    with served(guarded_app) as url:
        yield f"{url}/fhir"


@pytest.fixture
def patient(guarded_app: Flask) -> str:
    return Api(guarded_app, token()).register()


def test_fhirpy_creates_reads_searches_and_updates(base: str, patient: str) -> None:
    client = SyncFHIRClient(base, authorization=f"Bearer {token()}")
    goals = [client.resource("Goal", **fhir_goal(patient)) for _ in range(5)]
    for goal in goals:
        goal.save()
    assert goals[0]["meta"]["versionId"] == "1"

    goal = client.reference("Goal", goals[0]["id"]).to_resource()
    goal["description"] = {"text": "Swim"}
    goal.save()
    assert goal["meta"]["versionId"] == "2"

    found = client.resources("Goal").search(patient=patient, lifecycle_status="active").limit(2).fetch_all()
    assert {one["id"] for one in found} == {one["id"] for one in goals}
    assert client.resources("Goal").search(patient=patient).count() == 5
    one = client.resources("Goal").search(_id=goal["id"]).first()
    assert one is not None
    assert one["description"] == {"text": "Swim"}
    by_name = client.resources("Patient").search(identifier="https://clinic.example/patients|MS-1").get()
    assert by_name["id"] == patient


def test_fhirpy_understands_our_refusals(base: str, patient: str) -> None:
    client = SyncFHIRClient(base, authorization=f"Bearer {token()}")
    with pytest.raises(OperationOutcome, match="lifecycleStatus"):
        client.resource("Goal", **fhir_goal(patient, lifecycleStatus="doing")).save()
    with pytest.raises(ResourceNotFound):
        client.reference("Goal", "none").to_resource()


def test_fhirclient_creates_reads_searches_and_updates(base: str, patient: str) -> None:
    smart = fhirclient.client.FHIRClient(settings={"app_id": "mainstay-test", "api_base": base})
    smart.server.session.headers["Authorization"] = f"Bearer {token()}"
    goal = Goal(fhir_goal(patient))
    goal.id = goal.create(smart.server)["id"]

    read = Goal.read(goal.id, smart.server)
    assert read.description.text == "Walk to the lake"
    read.description.text = "Swim"
    assert read.update(smart.server)["meta"]["versionId"] == "2"

    plan = CarePlan({"status": "active", "intent": "plan", "subject": {"reference": f"Patient/{patient}"}})
    plan.goal = [FHIRReference({"reference": f"Goal/{goal.id}"})]
    plan.create(smart.server)
    found = CarePlan.where(struct={"patient": patient}).perform_resources_iter(smart.server)
    assert [one.goal[0].reference for one in found] == [f"Goal/{goal.id}"]
    with pytest.raises(FHIRNotFoundException):
        Goal.read("none", smart.server)
