"""What the benchmarks of the service start from: a database, a connected server, one patient."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from fhir_mappings.exact_json import Tree
from service.chart import Chart
from service.config import Config
from service.store.database import Database
from service.sync.engine import Sync
from service.wiring import sync_of

FHIR_JSON = {"Content-Type": "application/fhir+json"}
SYSTEM = "urn:mainstay:benchmark"


@dataclass(frozen=True)
class Stage:
    """patient_id, server_patient_id: the same person here and there."""

    config: Config
    database: Database
    chart: Chart
    sync: Sync
    patient_id: str
    server_patient_id: str

    def goal(self, number: int) -> Tree:
        return goal(f"Patient/{self.patient_id}", number)

    def require_synced(self) -> None:
        """Raise if any record is not in step: a fast failure is no speed."""
        states = {state: count for state, count in self.sync.summary().states.items() if count}
        if states.keys() != {"synced"}:
            raise AssertionError(f"not all are synced: {states}")


def goal(subject: str, number: int) -> Tree:
    """Return a goal of the size that people write."""
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": f"Walk round the lake with my granddaughter, number {number}"},
        "subject": {"reference": subject},
        "startDate": "2026-01-12",
        "target": [
            {
                "measure": {"coding": [{"system": "http://loinc.org", "code": "41950-7"}], "text": "Steps"},
                "detailQuantity": {"value": 7500, "unit": "steps"},
                "dueDate": "2026-06-30",
            }
        ],
        "note": [{"text": "Talked about what would make it easier."}],
    }


@contextmanager
def stage(base_url: str) -> Iterator[Stage]:
    """Set up a fresh embedded store, connected to a server on which the patient is known."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(database_url=f"sqlite:///{Path(folder) / 'mainstay.db'}")
        database = Database(config.database_url)
        database.upgrade()
        chart = Chart(database, _now)
        sync = sync_of(config, database, chart, _now)
        identifier = str(uuid.uuid4())
        patient = chart.register_patient([(SYSTEM, identifier)], "benchmark")
        there = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": identifier}]}
        created = requests.post(f"{base_url}/Patient", json=there, headers=FHIR_JSON, timeout=60)
        sync.add_connection("bench", base_url)
        yield Stage(config, database, chart, sync, patient.id, created.json()["id"])
        database.close()


def _now() -> datetime:
    return datetime.now(UTC)
