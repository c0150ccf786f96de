"""References to what a server never gets: the record that refers to it travels all the same."""

from collections.abc import Iterator

import pytest
import requests

from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox, running
from service.store.deployment import identifier_system
from service.sync.moved_decision import MovedDecision
from tests.clock import Clock
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import WAYS
from tests.service.sync.two_charts import BIRTHS, Charts, at, decide, everything_at

each_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS.keys())
each_end = pytest.mark.parametrize("decision", [MovedDecision.HAND_OVER, MovedDecision.LET_GO])

SAFETY_NET = [{"text": "Numb saddle or no hold of water: call at once"}]


@pytest.fixture
def charts(office: Office) -> Charts:
    return Charts(office)


def parted(charts: Charts, goal: str, decision: MovedDecision) -> None:
    """Have a goal's copy become Bob's for good."""
    charts.move(goal)
    charts.office.sync.run()
    decide(charts, goal, decision)
    charts.office.sync.run()


def by_identifier(office: Office, goal: str) -> Tree:
    with office.database.read() as session:
        identifier = {"system": identifier_system(session), "value": goal}
    return {"type": "Goal", "identifier": identifier}


@BIRTHS
@each_way
@each_end
def test_edits_of_a_plan_travel_and_what_the_copy_refers_to_stands(
    charts: Charts, ehr: EHR, without: set[str], born_there: bool, decision: MovedDecision
) -> None:
    ehr.without = without
    office, goal = charts.office, charts.goal(born_there=born_there)
    plan = office.plan(goal)
    office.sync.run()
    before = office.there("CarePlan", plan)["goal"]
    parted(charts, goal, decision)
    office.change("CarePlan", plan, note=SAFETY_NET)
    office.sync.run()
    assert office.status(plan).state == "synced"
    copy = office.there("CarePlan", plan)
    assert (copy["note"], copy["goal"]) == (SAFETY_NET, before)
    assert office.here("CarePlan", plan)["goal"] == [{"reference": f"Goal/{goal}"}]


@each_end
def test_a_reference_that_is_new_in_a_plan_travels_by_identifier(
    charts: Charts, ehr: EHR, decision: MovedDecision
) -> None:
    office, goal = charts.office, charts.goal()
    other = office.goal("Sleep")
    plan = office.plan(other)
    waits = office.plan(goal)
    office.sync.run()
    charts.move(goal)
    office.sync.run()
    # While nobody has decided, it may become the patient's again: that is waited for.
    office.change("CarePlan", plan, goal=[{"reference": f"Goal/{one}"} for one in (other, goal)])
    office.change("CarePlan", waits, note=SAFETY_NET)
    office.sync.run()
    assert office.status(plan).reason == office.status(waits).reason == "waiting-for-reference"
    decide(charts, goal, decision)
    office.clock.advance(seconds=7200)
    office.sync.run()
    assert {office.status(one).state for one in (plan, waits, other)} == {"synced"}
    kept = {"reference": f"Goal/{office.status(other).server_id}"}
    assert office.there("CarePlan", plan)["goal"] == [kept, by_identifier(office, goal)]


def test_what_came_by_identifier_comes_back_as_it_is_here(charts: Charts, ehr: EHR) -> None:
    office, goal = charts.office, charts.goal()
    parted(charts, goal, MovedDecision.LET_GO)
    plan = office.plan(goal)
    office.sync.run()
    assert office.there("CarePlan", plan)["goal"] == [by_identifier(office, goal)]
    office.clock.advance(seconds=600)
    office.change_there("CarePlan", plan, note=SAFETY_NET)
    office.sync.run()
    here = office.here("CarePlan", plan)
    assert (here["note"], here["goal"]) == (SAFETY_NET, [{"reference": f"Goal/{goal}"}])
    assert office.status(plan).state == "synced"


def test_a_goal_let_go_of_that_is_sent_anew_is_referred_to_where_it_is(charts: Charts, ehr: EHR) -> None:
    office, goal = charts.office, charts.goal(born_there=True)
    parted(charts, goal, MovedDecision.LET_GO)
    office.change("Goal", goal, identifier=[{"system": "urn:test:goals", "value": goal}])
    office.sync.retry(goal, "ehr")
    plan = office.plan(goal)
    office.sync.run()
    address = {"reference": f"Goal/{office.status(goal).server_id}"}
    assert office.there("CarePlan", plan)["goal"] == [address]


@pytest.fixture
def hospital(office: Office, clock: Clock) -> Iterator[str]:
    with running(create_sandbox(clock=clock)) as base_url:
        yield base_url


def test_a_plan_for_a_goal_that_another_server_made_goes_to_every_server(
    charts: Charts, ehr: EHR, hospital: str
) -> None:
    office = charts.office
    goal = charts.goal(born_there=True)
    names = [
        {"system": system, "value": value} for system, value in office.chart.patient(charts.ann).identifiers
    ]
    body = {"resourceType": "Patient", "identifier": names}
    requests.post(f"{hospital}/Patient", json=body, timeout=20).raise_for_status()
    office.sync.add_connection("hospital", hospital)
    plan = office.plan(goal, note=SAFETY_NET)
    office.sync.run()
    (copy,) = everything_at(hospital, "CarePlan")
    assert (copy["goal"], copy["note"]) == ([by_identifier(office, goal)], SAFETY_NET)
    assert everything_at(hospital, "Goal") == []
    (row,) = [one for one in office.sync.status(connection="hospital")[0] if one.record_id == plan]
    assert (row.state, at(hospital, "CarePlan", row.server_id)) == ("synced", copy)
