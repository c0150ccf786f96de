"""Practitioners, conditions and other things of a server that records name by identifier."""

from typing import Any

import requests

from fhir_mappings.exact_json import Tree
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office

PROBLEMS, STAFF, KIN = "urn:test:problems", "urn:test:staff", "urn:test:kin"


def named(resource_type: str, system: str, value: str) -> Tree:
    """A logical reference."""
    return {"type": resource_type, "identifier": {"system": system, "value": value}}


def back_pain(value: str = "back") -> Tree:
    return {"addresses": [named("Condition", PROBLEMS, value)]}


def condition(office: Office, subject: Tree, value: str = "back", **more: Any) -> str:
    tree = {"resourceType": "Condition", "identifier": [{"system": PROBLEMS, "value": value}]}
    return str(office.post({**tree, "subject": subject, **more})["id"])


def practitioner(office: Office, value: str = "dr", **more: Any) -> str:
    tree = {"resourceType": "Practitioner", "identifier": [{"system": STAFF, "value": value}]}
    return str(office.post({**tree, **more})["id"])


def related(office: Office, patient: str, value: str = "wife") -> str:
    tree = {"resourceType": "RelatedPerson", "identifier": [{"system": KIN, "value": value}]}
    return str(office.post({**tree, "patient": {"reference": f"Patient/{patient}"}})["id"])


def standing(office: Office, record: str) -> str:
    row = office.status(record)
    return f"{row.state} {row.reason or ''}".strip()


def addressed(office: Office, goal: str) -> str:
    """Return the one thing that a goal's copy addresses."""
    (reference,) = office.there("Goal", goal)["addresses"]
    return str(reference["reference"])


def of(patient: str) -> Tree:
    return {"reference": f"Patient/{patient}"}


def searches(ehr: EHR, resource_type: str) -> int:
    log = ehr.app.extensions["mainstay_sandbox"].requests
    return sum((one.method, one.path) == ("GET", f"/fhir/{resource_type}") for one in log)


def rename(office: Office, practitioner_id: str) -> None:
    """Have a practitioner carry another number there."""
    url = f"{office.base_url}/Practitioner/{practitioner_id}"
    identifier = [{"system": STAFF, "value": "another number"}]
    body = {"resourceType": "Practitioner", "id": practitioner_id, "identifier": identifier}
    assert requests.put(url, json=body, timeout=20).ok
