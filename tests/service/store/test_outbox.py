"""Every server hears of every change, in the transaction of the change."""

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import ProgrammingError

from service.chart import Chart
from service.chart.ownership import Origin
from service.chart.queries import RecordQuery
from service.chart.versions import RecordVersion
from service.chart.writes import Change
from service.errors import Unavailable
from service.store.database import Database
from service.store.tables import Link, OutboxRow
from tests import builders
from tests.clock import START, Clock
from tests.databases import connect, links, outbox, patient


def touched(chart: Chart, entry: RecordVersion, reason: str) -> RecordVersion:
    return chart.replace(entry.id, {**entry.tree, "statusReason": reason}, "jo")


def test_ten_edits_are_one_row_per_server(chart: Chart, database: Database, clock: Clock) -> None:
    connections = [connect(database, name) for name in ("one", "two")]
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    for number in range(10):
        clock.advance(seconds=1)
        entry = touched(chart, entry, str(number))
    rows = outbox(database)
    assert rows.keys() == links(database).keys() == {(entry.id, one) for one in connections}
    for row in rows.values():
        assert (row.generation, row.enqueued_at, row.next_attempt_at) == (11, START, clock())


def test_an_edit_during_a_push_leaves_the_lease_and_moves_the_generation(
    chart: Chart, database: Database, clock: Clock
) -> None:
    clinic = connect(database)
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    with database.begin() as session:
        row = session.get_one(OutboxRow, (entry.id, clinic))
        row.lease_owner, row.leased_until, row.attempts, row.next_attempt_at = "w", clock(), 3, clock()
    clock.advance(seconds=5)
    touched(chart, entry, "Knee")
    row = outbox(database)[entry.id, clinic]
    assert (row.lease_owner, row.generation, row.attempts, row.next_attempt_at) == ("w", 2, 0, clock())


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        ("synced", "pending"),
        ("rejected", "pending"),
        ("unmatched", "pending"),
        ("unknown", "unknown"),
        ("conflict", "conflict"),
    ],
)
def test_a_change_makes_a_link_pending_unless_a_question_is_open(
    chart: Chart, database: Database, state: str, becomes: str
) -> None:
    clinic = connect(database)
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    with database.begin() as session:
        session.execute(update(Link).values(state=state, reason="r", outcome="{}", next_step="n", body="{}"))
    touched(chart, entry, "Knee")
    link = links(database)[entry.id, clinic]
    told = (None, None, None) if becomes == "pending" else ("r", "{}", "n")
    assert (link.state, link.reason, link.outcome, link.next_step) == (becomes, *told)
    assert link.body == "{}"


def from_server(action: str, but: str | None = None) -> Change:
    return Change(actor="c", action=action, at=START, origin=Origin.SERVER, except_connection=but)


def test_a_record_that_came_from_a_server_goes_back_to_those_only_that_have_it(
    chart: Chart, database: Database
) -> None:
    clinic, _ = connect(database, "clinic"), connect(database, "other")
    person = patient(chart)
    with database.begin() as session:
        entry = chart.save_from_server(
            session, {**builders.goal(person), "id": "g-1"}, person, from_server("pull")
        )
        session.add(
            Link(
                record_id=entry.id,
                connection_id=clinic,
                resource_type="Goal",
                server_id="7",
                state="synced",
                updated_at=START,
            )
        )
    assert outbox(database) == {}
    assert "identifier" not in entry.tree
    edited = touched(chart, entry, "Knee")
    assert outbox(database).keys() == links(database).keys() == {(entry.id, clinic)}
    assert "identifier" not in edited.tree


def test_what_one_server_changed_can_be_told_to_the_others(chart: Chart, database: Database) -> None:
    clinic, other = connect(database, "clinic"), connect(database, "other")
    person = patient(chart)
    entry = chart.create(builders.goal(person), "nurse")
    with database.begin() as session:
        tree = {**entry.tree, "statusReason": "Knee"}
        change = from_server("merge", but=clinic)
        merged = chart.save_from_server(session, tree, person, change, record_id=entry.id)
    assert (merged.version, merged.action) == (2, "merge")
    assert {key[1]: row.generation for key, row in outbox(database).items()} == {clinic: 1, other: 2}


def test_what_no_server_can_be_told_of_is_not_stored(chart: Chart, database: Database) -> None:
    # The outbox row is written in the record's transaction: where it cannot be, nothing is.
    connect(database)
    person = patient(chart)
    with database.begin() as session:
        session.execute(text("DROP TABLE outbox"))
    with pytest.raises((Unavailable, ProgrammingError)):
        chart.create(builders.goal(person), "nurse")
    assert chart.find(RecordQuery(resource_type="Goal", limit=10)).entries == ()
