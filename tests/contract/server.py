"""The server under test, spoken to with plain requests; and small resources that no other test knows."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import requests

Tree = dict[str, Any]

GOALS, PLANS, PATIENTS = "urn:test:goals", "urn:test:plans", "urn:test:patients"


def unique() -> str:
    return uuid.uuid4().hex


def placeholder() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


@dataclass(frozen=True)
class Server:
    """Verbs on one base URL, with a patient of this test's own."""

    base: str
    patient_id: str

    def request(
        self, method: str, path: str, body: Tree | str | None = None, **headers: str
    ) -> requests.Response:
        """Header names are keywords: `If_Match`, `Prefer`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, str | None) else json.dumps(body)
        if text is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
        data = text.encode() if text is not None else None
        return requests.request(method, f"{self.base}{path}", data=data, headers=sent, timeout=30)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.request("GET", path, **headers)

    def post(self, tree: Tree, **headers: str) -> requests.Response:
        return self.request("POST", f"/{tree['resourceType']}", tree, **headers)

    def put(self, tree: Tree, **headers: str) -> requests.Response:
        return self.request("PUT", f"/{tree['resourceType']}/{tree['id']}", tree, **headers)

    def delete(self, tree: Tree, **headers: str) -> requests.Response:
        return self.request("DELETE", address(tree), **headers)

    def made(self, tree: Tree) -> Tree:
        """The resource as it was created."""
        response = self.post(tree)
        assert response.status_code == 201, response.text
        created: Tree = response.json()
        return created

    def bundle(self, kind: str, *entries: Tree, **headers: str) -> requests.Response:
        return self.request(
            "POST", "", {"resourceType": "Bundle", "type": kind, "entry": list(entries)}, **headers
        )

    def search(self, path: str) -> Tree:
        response = self.get(path)
        assert response.status_code == 200, response.text
        found: Tree = response.json()
        return found

    def found(self, path: str) -> list[str]:
        """The ids on the first page of a search, in its order."""
        return [entry["resource"]["id"] for entry in self.search(path).get("entry", [])]

    @property
    def subject(self) -> Tree:
        return {"reference": f"Patient/{self.patient_id}"}

    def goal(self, *, value: str | None = None, **elements: Any) -> Tree:
        return {
            "resourceType": "Goal",
            "identifier": [{"system": GOALS, "value": value or unique()}],
            "lifecycleStatus": "active",
            "description": {"text": "Walk to the bakery"},
            "subject": self.subject,
            **elements,
        }

    def plan(self, **elements: Any) -> Tree:
        return {
            "resourceType": "CarePlan",
            "identifier": [{"system": PLANS, "value": unique()}],
            "status": "active",
            "intent": "plan",
            "subject": self.subject,
            **elements,
        }


def entry(
    method: str, url: str, resource: Tree | None = None, full_url: str | None = None, **request: str
) -> Tree:
    made: Tree = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def address(tree: Tree) -> str:
    return f"/{tree['resourceType']}/{tree['id']}"


def identifier(tree: Tree) -> str:
    first = tree["identifier"][0]
    return f"{first['system']}|{first['value']}"


def without(tree: Tree, *names: str) -> Tree:
    return {name: member for name, member in tree.items() if name not in names}


def version_of(response: requests.Response) -> str:
    """The version that an ETag names: W/"3" is 3."""
    tag = response.headers["ETag"]
    assert tag.startswith('W/"')
    assert tag.endswith('"')
    return tag[3:-1]


def assert_refused(response: requests.Response, status: int) -> Tree:
    """The answer is this status, with an OperationOutcome that names an error; returns it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/fhir+json")
    outcome: Tree = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert any(issue["severity"] in ("error", "fatal") for issue in outcome["issue"])
    assert all(issue["code"] for issue in outcome["issue"])
    return outcome
