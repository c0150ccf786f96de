"""Leases: each row is one worker's until its time runs out."""

from datetime import timedelta

from sqlalchemy import select

from service.store.tables import OutboxRow
from service.sync import leases
from tests.service.sync.office import Office


def test_what_one_worker_holds_no_other_gets(office: Office) -> None:
    goals = {office.goal() for _ in range(5)}
    first, second = taken(office, "first", 3), taken(office, "second", 5)
    assert len(first) == 3
    assert first | second == goals
    assert first & second == set()
    assert taken(office, "third", 5) == set()


def test_a_lease_that_ran_out_goes_to_the_next_and_its_first_holder_has_no_say(office: Office) -> None:
    goal = office.goal()
    assert taken(office, "first", 5) == {goal}
    office.clock.advance(seconds=leases.LEASE.total_seconds() + 1)
    assert taken(office, "second", 5) == {goal}
    connection_id = office.sync.connections()[0].id
    with office.database.begin() as session:
        assert leases.renew(session, connection_id, "first", office.clock(), [goal]) == set()
        leases.finish(session, connection_id, "first", [leases.Leased(goal, 1, 0)])
        row = session.scalars(select(OutboxRow)).one()
        assert row.lease_owner == "second"


def test_a_failed_attempt_waits_unless_the_record_changed_since(office: Office) -> None:
    goal = office.goal()
    connection_id = office.sync.connections()[0].id
    with office.database.begin() as session:
        (row,) = leases.lease(session, connection_id, "first", office.clock(), 5)
        leases.postpone(session, connection_id, "first", row, office.clock() + timedelta(hours=1))
    assert taken(office, "second", 5) == set()
    office.change("Goal", goal, statusDate="2026-03-02")
    assert taken(office, "second", 5) == {goal}


def taken(office: Office, owner: str, limit: int) -> set[str]:
    connection_id = office.sync.connections()[0].id
    with office.database.begin() as session:
        return {row.record_id for row in leases.lease(session, connection_id, owner, office.clock(), limit)}
