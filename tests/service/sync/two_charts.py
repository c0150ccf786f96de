"""Ann and Bob on one server, whose goals get mixed up there, and all ways in which somebody here can look."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import select

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.chart import PatientRegister
from service.config import Config
from service.record_types import IN_OUR_WORDS
from service.store.tables import Record
from service.sync.moved_decision import MovedDecision
from service.sync.set_aside import Moved
from tests.service.routes.caller import GUARDED, Api, published_keys, token
from tests.service.sync.office import Office

#: What Ann's side says, and what the copy says once it is Bob's.
ANNS_WORDS, BOBS_WORDS = "Walk to the lake", "Swim across the lake"

BIRTHS = pytest.mark.parametrize("born_there", [False, True], ids=["born here", "born there"])


class Charts:
    """Ann is the office's patient. bob, bob_there: another one, who may be no patient here."""

    def __init__(self, office: Office, *, bob_is_here: bool = True) -> None:
        self.office = office
        self.ann, self.ann_there = office.patient_id, office.patient_there
        if bob_is_here:
            self.bob, self.bob_there = office.patient()
        else:
            self.bob, self.bob_there = "nobody-here", office.register_there("a stranger")
        self.register = PatientRegister(office.database, office.clock)
        self._app = create_app(
            Config(**GUARDED), database=office.database, clock=office.clock, fetch_keys=published_keys
        )

    def goal(self, *, born_there: bool = False) -> str:
        """Return a goal of Ann's that is in step, written here or there."""
        if not born_there:
            goal = self.office.goal(ANNS_WORDS)
            self.office.sync.run()
            return goal
        before = set(self.office_records())
        subject = {"reference": f"Patient/{self.ann_there}"}
        tree = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": ANNS_WORDS}}
        self.office.post({**tree, "subject": subject})
        self.office.sync.run()
        (goal,) = set(self.office_records()) - before
        return goal

    def office_records(self) -> list[str]:
        with self.office.database.read() as session:
            return list(session.scalars(select(Record.id)))

    def move(self, goal: str, **elements: Any) -> Tree:
        """Have the clinic say that a goal is Bob's."""
        self.office.clock.advance(seconds=600)
        subject = {"reference": f"Patient/{self.bob_there}"}
        said = {"description": {"text": BOBS_WORDS}, "subject": subject}
        return self.office.change_there("Goal", goal, **{**said, **elements})

    def move_back(self, goal: str, **elements: Any) -> Tree:
        """Have the clinic say that it is Ann's after all."""
        return self.move(goal, subject={"reference": f"Patient/{self.ann_there}"}, **elements)

    def moved(self) -> Moved:
        """Return the one copy that is set aside."""
        (one,) = self.office.sync.moved()
        return one

    def api(self, patient: str | None = None) -> Api:
        """Return the service as everyone sees it, or who is confined to a patient."""
        return Api(self._app, token(patient=patient, now=self.office.clock()))

    def read_by(self, patient: str | None) -> str:
        """Return all that somebody can read, as text: records, versions, searches, states, conflicts."""
        return "\n".join(answer for answer in self._answers(self.api(patient), patient))

    def _answers(self, api: Api, patient: str | None) -> Iterator[str]:
        for record_id in self.office_records():
            for path in _paths(record_id):
                yield api.get(path).text
        yield from (api.get(path).text for path in _LISTS)
        if patient is not None:
            yield api.get(f"/api/v1/patients/{patient}").text
            yield api.get(f"/api/v1/sync/status?patient={patient}").text
            yield api.get(f"/fhir/Goal?patient={patient}").text
        for conflict in self.office.sync.conflicts()[0]:
            yield api.get(f"/api/v1/sync/conflicts/{conflict.id}").text


_LISTS = [
    *[f"/api/v1/{kind.path}?limit=200" for kind in IN_OUR_WORDS],
    "/fhir/Goal?_count=200",
    "/fhir/CarePlan?_count=200",
    "/api/v1/sync/status?limit=200",
    "/api/v1/sync/conflicts",
    "/api/v1/sync/conflicts?resolved=true",
    "/api/v1/sync/moved",
    "/api/v1/sync/invalid",
    "/api/v1/sync/summary",
]


def _paths(record_id: str) -> list[str]:
    face = f"/fhir/Goal/{record_id}"
    versions = [f"{face}/_history/{number}" for number in range(1, 6)]
    record = f"/api/v1/goals/{record_id}"
    return [record, f"{record}/history", face, f"{face}/_history", *versions]


Find = Callable[[Charts, str], None]


def by_pull(charts: Charts, goal: str) -> None:
    charts.office.sync.pull()


def by_full_comparison(charts: Charts, goal: str) -> None:
    charts.office.sync.compare()


def by_an_edit_here(charts: Charts, goal: str) -> None:
    """The update names a version that is no more the newest, and the server refuses it."""
    charts.office.change("Goal", goal, statusDate="2026-03-01")
    charts.office.sync.push()


def raw(office: Office, record_id: str) -> Tree:
    """Return a record's row, shown or not."""
    with office.database.read() as session:
        tree: Tree = exact_json.parse(session.get_one(Record, record_id).tree)
        return tree


def set_aside(charts: Charts, *, born_there: bool) -> str:
    """Return a goal of Ann's whose copy became Bob's, and was found."""
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    charts.office.sync.run()
    assert charts.moved().record_id == goal
    return goal


def decide(charts: Charts, goal: str, decision: MovedDecision) -> None:
    charts.office.sync.decide_moved(goal, "ehr", decision, "doctor")


def at(base_url: str, resource_type: str, server_id: str | None) -> Tree:
    answer = requests.get(f"{base_url}/{resource_type}/{server_id}", timeout=20)
    assert answer.ok, answer.text
    body: Tree = answer.json()
    return body


def everything_at(base_url: str, resource_type: str) -> list[Tree]:
    bundle = requests.get(f"{base_url}/{resource_type}?_count=200", timeout=20).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def is_shown(charts: Charts, goal: str, patient: str | None) -> bool:
    return charts.api(patient).get(f"/fhir/Goal/{goal}").status == 200


def require_set_aside(charts: Charts, goal: str, *, born_there: bool, bob_is_here: bool) -> None:
    """Assert that a copy was found to be Bob's, and that nobody is shown what it says."""
    office = charts.office
    status = office.status(goal)
    assert (status.state, status.reason) == ("moved", "other-patient-there")
    moved = charts.moved()
    assert (moved.record_id, moved.patient_id, moved.connection) == (goal, charts.ann, "ehr")
    assert (moved.server_id, moved.there) == (status.server_id, charts.bob_there)
    assert moved.patient_there == (charts.bob if bob_is_here else None)
    assert moved.was_born_there == born_there
    for reader in (charts.ann, charts.bob, None):
        text = charts.read_by(reader)
        assert BOBS_WORDS not in text
        assert (ANNS_WORDS in text) == (not born_there and reader != charts.bob)
    aside = charts.api().get(f"/api/v1/patients/{charts.ann}").json["set_aside"]
    assert aside == int(born_there)
    assert raw(office, goal)["description"] == {"text": ANNS_WORDS}
