"""Wrong clocks, there and here: they cost requests or a warning, and no change and no record."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Request, Response
from sqlalchemy import select, update

from service.sandbox import faults
from service.store.tables import OutboxRow, Watermark
from service.sync import leases
from tests.clock import START, Clock
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import After, rewritten

FAR = datetime(2100, 1, 1, tzinfo=UTC)
BY_SNAPSHOT = {"_lastUpdated"}


def dated(moment: datetime) -> After:
    """A server whose answers are of that moment, whenever they are given."""

    def answer(_: Request, response: Response) -> Response:
        response.headers["Date"] = moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        instant = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return rewritten(
            response,
            lambda tree: (
                {**tree, "meta": {"lastUpdated": instant}} if tree["resourceType"] == "Bundle" else tree
            ),
        )

    return answer


def marks(office: Office) -> set[str]:
    with office.database.read() as session:
        return set(session.scalars(select(Watermark.since)))


@pytest.mark.parametrize("moment", [FAR, START + timedelta(minutes=6)], ids=["2100", "six minutes ahead"])
def test_one_answer_from_the_future_hides_no_later_change(office: Office, ehr: EHR, moment: datetime) -> None:
    goal = office.goal("walk")
    ehr.after = dated(moment)
    report = office.sync.run()
    assert report.problems == ["ehr: clock-skew"]
    ehr.after = lambda request, response: None
    office.clock.advance(seconds=30)
    office.change_there("Goal", goal, description={"text": "swim"})
    late = office.goal_there()
    report = office.sync.run()
    assert report.problems == []
    assert office.here("Goal", goal)["description"] == {"text": "swim"}
    assert late["id"] in office.linked()
    assert all(mark <= "2026-03-02T08:30:30Z" for mark in marks(office))


def test_a_clock_that_is_a_little_ahead_is_the_servers_own(office: Office, ehr: EHR) -> None:
    ehr.after = dated(START + timedelta(minutes=4))
    assert office.sync.run().problems == []
    assert "2026-03-02T08:32:00Z" in marks(office)


@pytest.mark.parametrize("days", [1, 4000])
def test_our_own_clock_that_is_ahead_hides_no_change(office: Office, ehr: EHR, days: float) -> None:
    """The server's clock, which dates what changes there, is the earlier one."""
    theirs = office.clock
    office.clock = Clock(theirs())
    office.sync = office.new_sync()
    office.clock.advance(days=days)
    goal = office.goal("walk")
    assert office.sync.run().problems == ["ehr: clock-skew"]
    for clock in (theirs, office.clock):
        clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "swim"})
    office.sync.run()
    assert office.here("Goal", goal)["description"] == {"text": "swim"}


def test_a_server_whose_clock_is_behind_is_believed(office: Office, ehr: EHR) -> None:
    """It dates its changes by that clock: to ask from ours on would never show one."""
    office.clock = Clock(START + timedelta(days=30))
    office.sync = office.new_sync()
    goal = office.goal("walk")
    office.sync.run()
    office.change_there("Goal", goal, description={"text": "swim"})
    assert office.sync.run().problems == ["ehr: clock-skew"]
    assert office.here("Goal", goal)["description"] == {"text": "swim"}


@pytest.mark.parametrize("scopes", ["all", "types", "patients"])
def test_a_watermark_in_the_future_is_brought_back_and_nothing_missed(
    office: Office, ehr: EHR, scopes: str
) -> None:
    goal = office.goal("walk")
    office.sync.run()
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "swim"})
    old = office.goal_there()
    with office.database.begin() as session:
        chosen = {
            "all": Watermark.scope != "",
            "types": ~Watermark.scope.startswith("Patient/"),
            "patients": Watermark.scope.startswith("Patient/"),
        }[scopes]
        session.execute(update(Watermark).where(chosen).values(since="2099-12-31T23:58:00Z"))
    office.clock.advance(days=40)
    office.sync.run()
    assert office.here("Goal", goal)["description"] == {"text": "swim"}
    assert old["id"] in office.linked()
    assert all(mark < "2027" for mark in marks(office))


@pytest.mark.parametrize("days", [0.04, 4000], ids=["an hour", "years"])
def test_what_was_written_while_our_clock_was_ahead_is_sent(office: Office, ehr: EHR, days: float) -> None:
    office.clock.advance(days=days)
    goals = {office.goal(f"goal {number}") for number in range(3)}
    office.clock.set(START)
    report = office.sync.push()
    assert (report.problem, report.synced) == (None, 3)
    assert {office.status(goal).state for goal in goals} == {"synced"}


def test_what_was_tried_while_our_clock_was_ahead_is_tried_again(office: Office, ehr: EHR) -> None:
    office.goal()
    ehr.before = lambda request: faults.overloaded(503, "600") if "metadata" not in request.path else None
    office.clock.advance(days=4000)
    office.sync.push()
    ehr.before = lambda request: None
    office.clock.set(START)
    office.sync.push()
    assert office.states() == {"synced": 1}


def test_what_was_held_while_our_clock_was_ahead_is_free(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    connection_id = office.sync.connections()[0].id
    office.clock.advance(days=4000)
    with office.database.begin() as session:
        leases.lease(session, connection_id, "elsewhere:dead", office.clock(), 5)
    office.clock.set(START)
    office.sync.push()
    assert office.status(goal).state == "synced"


def test_a_lease_by_a_clock_that_is_a_little_ahead_is_a_lease(office: Office) -> None:
    office.goal()
    connection_id = office.sync.connections()[0].id
    office.clock.advance(seconds=leases.MOST_APART.total_seconds() - 1)
    with office.database.begin() as session:
        assert leases.lease(session, connection_id, "elsewhere:alive", office.clock(), 5)
    office.clock.set(START)
    with office.database.begin() as session:
        assert leases.lease(session, connection_id, "another", office.clock(), 5) == []


def test_what_waits_as_long_as_it_should_goes_on_waiting(office: Office, ehr: EHR) -> None:
    office.goal()
    ehr.before = lambda request: faults.overloaded(429, "86400") if "metadata" not in request.path else None
    office.sync.push()
    ehr.before = lambda request: None
    ehr.forget()
    office.clock.advance(seconds=86_000)
    office.sync.push()
    assert ehr.writes() == []
    office.clock.advance(seconds=4_000)
    office.sync.push()
    assert office.states() == {"synced": 1}


def test_only_what_no_wait_explains_is_brought_back(office: Office) -> None:
    goals = [office.goal(f"goal {number}") for number in range(4)]
    now = START
    waits = {
        goals[0]: (0, timedelta(seconds=1)),
        goals[1]: (1, timedelta(hours=24)),
        goals[2]: (1, timedelta(hours=26)),
        goals[3]: (7, timedelta(seconds=-1)),
    }
    connection_id = office.sync.connections()[0].id
    with office.database.begin() as session:
        for goal, (attempts, wait) in waits.items():
            row = session.get_one(OutboxRow, (goal, connection_id))
            row.attempts, row.next_attempt_at = attempts, now + wait
        session.flush()
        assert leases.bring_back(session, connection_id, now) == 2
    with office.database.read() as session:
        due = {row.record_id for row in session.scalars(select(OutboxRow)) if row.next_attempt_at <= now}
    assert due == {goals[0], goals[2], goals[3]}


def test_a_capability_statement_from_the_future_is_stale(office: Office, ehr: EHR) -> None:
    office.clock.advance(days=4000)
    office.sync.check_connection("ehr")
    office.clock.set(START)
    ehr.without = {"transaction", "batch", "conditionalCreate"}
    for number in range(3):
        office.goal(f"goal {number}")
    office.sync.push()
    assert "POST /fhir" not in ehr.writes()
    assert office.states() == {"synced": 3}


def test_a_capability_statement_is_believed_for_an_hour(office: Office, ehr: EHR) -> None:
    asked: list[str] = []
    ehr.before = lambda request: asked.append(request.path) if "metadata" in request.path else None
    for seconds in (0, 1800, 1799, 1, 1):
        office.clock.advance(seconds=seconds)
        office.sync.push()
    assert len(asked) == 2


def test_a_patient_who_was_looked_for_in_the_future_is_looked_for_again(office: Office, ehr: EHR) -> None:
    office.clock.advance(days=4000)
    _, name = office.patient(there=0)
    office.sync.pull()
    office.clock.set(START)
    old = office.goal_there(office.register_there(name))
    office.sync.pull()
    assert old["id"] in office.linked()
