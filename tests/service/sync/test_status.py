"""How everything stands, page by page and in numbers."""

import pytest

from service.errors import Conflict, NotFound
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office


def test_states_are_listed_page_by_page_and_counted(office: Office, ehr: EHR) -> None:
    lost, _ = office.patient(there=0)
    goals = {office.goal() for _ in range(5)}
    unmatched = office.goal(patient=lost)
    office.sync.push()
    changed = sorted(goals)[0]
    office.change("Goal", changed, statusDate="2026-03-02")
    office.clock.advance(seconds=60)
    seen: list[str] = []
    after: str | None = None
    while True:
        rows, after = office.sync.status(limit=2, after=after)
        seen += [row.record_id for row in rows]
        if after is None:
            break
    assert sorted(seen) == sorted(goals | {unmatched})
    summary = office.sync.summary("ehr")
    assert {state: count for state, count in summary.states.items() if count} == {
        "synced": 4,
        "pending": 1,
        "unmatched": 1,
    }
    assert summary.oldest_pending_seconds == 60
    assert [row.record_id for row in office.sync.status(state="pending")[0]] == [changed]
    assert [row.record_id for row in office.sync.status(patient=lost)[0]] == [unmatched]
    assert office.sync.status(connection="elsewhere") == ([], None)


def test_a_connection_has_one_name_and_one_address(office: Office, ehr: EHR) -> None:
    with pytest.raises(Conflict):
        office.sync.add_connection("ehr", "https://other.test/fhir")
    with pytest.raises(Conflict):
        office.sync.add_connection("other", f"{ehr.base_url}/")
    with pytest.raises(NotFound):
        office.sync.push("other")


def test_a_connection_tells_what_it_can_do_or_what_is_wrong(office: Office, ehr: EHR) -> None:
    told = office.sync.check_connection("ehr")
    assert (told.problem, told.transaction) == (None, True)
    assert "Goal" in told.writable
    office.sync.add_connection("nobody", "http://127.0.0.1:9/fhir")
    told = office.sync.check_connection("nobody")
    assert told.problem == "unreachable"
    assert told.next_step


def test_records_go_to_every_connection_and_one_that_is_down_holds_up_no_other(office: Office) -> None:
    office.goal()
    office.sync.add_connection("nobody", "http://127.0.0.1:9/fhir")
    report = office.sync.run()
    assert report.problem == "unreachable"
    assert office.sync.summary("ehr").states["synced"] == 1
    assert office.sync.summary("nobody").states["pending"] == 1
