"""A service in full use, for tests that try every operation: records, a FHIR server, conflicts."""

from collections.abc import Callable

from flask import Flask

from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.config import Config
from service.record_types import IN_OUR_WORDS
from service.routes.api.questionnaires import EXAMPLE as QUESTIONNAIRE
from service.routes.fhir.openapi_parts import EXAMPLES as RESOURCES
from service.routes.openapi_parts import EXAMPLES
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, published_keys, token

IDENTIFIER = {"system": "https://clinic.example/patients", "value": "MS-1"}

#: Kinds of records by their path.
KINDS = {kind.path: kind for kind in IN_OUR_WORDS}


class World:
    """The app, a patient, and a FHIR server that knows the patient too."""

    def __init__(self, database: Database, sandbox: Flask, sandbox_url: str) -> None:
        clock = Clock()
        config = Config(**GUARDED, connection_allowed_urls=(sandbox_url, "http://127.0.0.1:9"))
        self.app = create_app(config, database=database, clock=clock, fetch_keys=published_keys)
        self.bearer = token()
        self.api = Api(self.app, self.bearer)
        self.there = Api(sandbox)
        self.there_url = f"{sandbox_url}/fhir"
        self.patient = self.api.register(IDENTIFIER["value"])
        self.subject = {"reference": f"Patient/{self.patient}"}
        self._made = 0
        self._known: dict[str, str] = {}
        assert (
            self.there.post("/fhir/Patient", {"resourceType": "Patient", "identifier": [IDENTIFIER]}).status
            == 201
        )
        self.connect("clinic")

    def connect(self, name: str) -> None:
        answer = self.api.post("/api/v1/connections", {"name": name, "base_url": self.there_url})
        assert answer.status == 201, answer

    def resource(self, resource_type: str) -> Tree:
        """A new resource that the FHIR face has to take."""
        body = dict(RESOURCES[resource_type])
        if "subject" in body:
            body["subject"] = self.subject
        return self._with_own_url(body)

    def questionnaire(self) -> Tree:
        return self._with_own_url(dict(QUESTIONNAIRE))

    def _with_own_url(self, body: Tree) -> Tree:
        self._made += 1
        return {**body, "url": f"{body['url']}-{self._made}"} if "url" in body else body

    def record(self, noun: str) -> Tree:
        """A new record that its noun has to take."""
        return {**EXAMPLES[KINDS[noun].name], "subject": self.subject}

    def created(self, resource_type: str) -> Tree:
        """The resource of a new record, as a FHIR client sees it."""
        answer = self.api.post(f"/fhir/{resource_type}", self.resource(resource_type))
        assert answer.status == 201, answer
        resource: Tree = answer.json
        return resource

    def known(self, resource_type: str) -> str:
        """The id of a record that is the same for all who ask."""
        if resource_type not in self._known:
            self._known[resource_type] = self.created(resource_type)["id"]
        return self._known[resource_type]

    def run(self) -> None:
        answer = self.api.post("/api/v1/sync/run", {"connection": "clinic"})
        assert (answer.status, answer.json["problem"]) == (200, None), answer

    def conflict(self) -> str:
        """The id of a new conflict: the same goal changed here and there."""
        goal = self._changed_on_both_sides(lambda copy: {**copy, "description": {"text": "Changed there"}})
        conflicts = self.api.get("/api/v1/sync/conflicts?limit=200").json["items"]
        conflict_id: str = next(one["id"] for one in conflicts if one["record_id"] == goal["id"])
        return conflict_id

    def moved(self) -> str:
        """The id of a record whose copy is somebody else's there by now."""
        somebody = self.there.post("/fhir/Patient", {"resourceType": "Patient"}).json["id"]
        subject = {"reference": f"Patient/{somebody}"}
        record_id: str = self._changed_on_both_sides(lambda copy: {**copy, "subject": subject})["id"]
        return record_id

    def _changed_on_both_sides(self, changed: Callable[[Tree], Tree]) -> Tree:
        """A goal that was changed here, and there before we could send it."""
        goal = self.created("Goal")
        self.run()
        rows = self.api.get(f"/api/v1/sync/status?patient={self.patient}&limit=200").json["items"]
        server_id = next(row["server_id"] for row in rows if row["record_id"] == goal["id"])
        copy = self.there.get(f"/fhir/Goal/{server_id}").json
        assert self.there.put(f"/fhir/Goal/{server_id}", changed(copy)).status == 200
        here = {**goal, "description": {"text": "Changed here"}}
        assert self.api.put(f"/fhir/Goal/{goal['id']}", here, If_Match='W/"1"').status == 200
        self.run()
        return goal
