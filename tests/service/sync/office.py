"""An office to try sync in: a database, a chart, a connection to a server, and people on both sides."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import requests

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import Chart, RecordVersion
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Found
from service.store.database import Database
from service.sync.engine import Sync
from service.sync.identity.match_history import PatientMatch
from service.sync.identity.matching import MatchRules
from service.sync.server.connections import Connection
from service.sync.status import Status
from tests.clock import Clock

ACTOR = "nurse"


class Office:
    """Our side, and direct sight of the server's."""

    def __init__(
        self, database: Database, base_url: str, clock: Clock, session: requests.Session | None = None
    ) -> None:
        self.database = database
        self.base_url = base_url
        self.clock = clock
        self.chart = Chart(database, clock)
        self.session = session or requests.Session()
        self.sync = self.new_sync()
        self.patient_system = f"urn:test:patients:{uuid.uuid4()}"
        self.patient_id, self.patient_there = self.patient()

    def new_sync(
        self,
        client: Callable[[Connection], FHIRClient] | None = None,
        batch_size: int = 50,
        match_rules: MatchRules | None = None,
    ) -> Sync:
        """Another process at the same database, as it were."""
        return Sync(
            self.database,
            self.chart,
            client or (lambda one: FHIRClient(one.base_url, session=self.session, timeout_seconds=20)),
            self.clock,
            random.Random(5),
            batch_size=batch_size,
            match_rules=match_rules,
        )

    def connect(self) -> None:
        self.sync.add_connection("ehr", self.base_url)

    def patient(self, *, there: int = 1) -> tuple[str, str]:
        """Register somebody here, and so often there; return both ids."""
        name = str(uuid.uuid4())
        here = self.chart.register_patient([(self.patient_system, name)], ACTOR).id
        ids = [self.register_there(name) for _ in range(there)]
        return here, ids[0] if ids else name

    def register_there(self, name: str) -> str:
        identifier = [{"system": self.patient_system, "value": name}]
        return str(self.post({"resourceType": "Patient", "identifier": identifier})["id"])

    def goal(self, text: str = "Walk to the lake", patient: str | None = None, **more: Any) -> str:
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": text}}
        return self.create({**goal, **more}, patient)

    def plan(self, goal: str, patient: str | None = None, **more: Any) -> str:
        goals = [{"reference": f"Goal/{goal}"}]
        plan = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "goal": goals}
        return self.create({**plan, **more}, patient)

    def activity(self, patient: str | None = None, **more: Any) -> str:
        return self.create(
            {"resourceType": "ServiceRequest", "status": "active", "intent": "plan", **more}, patient
        )

    def create(self, tree: Tree, patient: str | None = None) -> str:
        subject = {"reference": f"Patient/{patient or self.patient_id}"}
        return self.chart.create({**tree, "subject": subject}, ACTOR).id

    def change(self, resource_type: str, record_id: str, **members: Any) -> RecordVersion:
        tree = self.here(resource_type, record_id)
        changed = {key: value for key, value in {**tree, **members}.items() if value is not None}
        return self.chart.replace(record_id, changed, ACTOR)

    def here(self, resource_type: str, record_id: str) -> Tree:
        return self.chart.get(resource_type, record_id).tree

    def status(self, record_id: str) -> Status:
        rows, _ = self.sync.status(limit=10_000)
        return next(row for row in rows if row.record_id == record_id)

    def linked(self) -> set[str | None]:
        """Return the ids there of all that is linked."""
        return {row.server_id for row in self.sync.status(limit=10_000)[0]}

    def match(self, patient: str | None = None) -> PatientMatch:
        """Return how a patient is matched on the one connection there is."""
        (match,) = self.sync.matches(patient or self.patient_id)
        return match

    def states(self) -> dict[str, int]:
        return {state: count for state, count in self.sync.summary().states.items() if count}

    # The server's side, looked at directly.

    def post(self, tree: Tree) -> Tree:
        return self._answer(requests.post(f"{self.base_url}/{tree['resourceType']}", json=tree, timeout=20))

    def goal_there(self, patient_there: str | None = None, text: str = "theirs") -> Tree:
        """Have somebody write a goal there, for our patient or another one."""
        subject = {"reference": f"Patient/{patient_there or self.patient_there}"}
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": text}}
        return self.post({**goal, "subject": subject})

    def there(self, resource_type: str, record_id: str) -> Tree:
        server_id = self.status(record_id).server_id
        return self._answer(requests.get(f"{self.base_url}/{resource_type}/{server_id}", timeout=20))

    def change_there(self, resource_type: str, record_id: str, **members: Any) -> Tree:
        changed = {**self.there(resource_type, record_id), **members}
        url = f"{self.base_url}/{resource_type}/{changed['id']}"
        text = exact_json.dump({key: value for key, value in changed.items() if value is not None})
        headers = {"Content-Type": "application/fhir+json"}
        return self._answer(requests.put(url, text.encode(), headers=headers, timeout=20))

    def copies(self, resource_type: str, patient: str | None = None) -> list[Tree]:
        """Return all that the server has of a type for a patient."""
        client = FHIRClient(self.base_url)
        found = client.search(resource_type, {"patient": patient or self.patient_there, "_count": "500"})
        assert isinstance(found, Found), found
        return found.resources

    @staticmethod
    def _answer(response: requests.Response) -> Tree:
        assert response.ok, (response.status_code, response.text)
        tree: Tree = exact_json.parse(response.text)
        return tree
