"""What a person decides about a copy that is another patient's there: write it back, or let it go."""

import pytest
import requests
from flask import Request, Response

from service.errors import NotFound
from service.sandbox import faults
from service.sync.moved_decision import MovedDecision
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.two_charts import (
    ANNS_WORDS,
    BIRTHS,
    BOBS_WORDS,
    Charts,
    at,
    decide,
    everything_at,
    is_shown,
    set_aside,
)

WRITE_BACK, LET_GO = MovedDecision.WRITE_BACK, MovedDecision.LET_GO


@pytest.fixture
def charts(office: Office) -> Charts:
    return Charts(office)


# Write-back.


@BIRTHS
def test_written_back_the_copy_says_all_that_its_patients_side_says(
    charts: Charts, ehr: EHR, born_there: bool
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=born_there)
    there = office.status(goal).server_id
    decide(charts, goal, WRITE_BACK)
    assert office.status(goal).state == "pending"
    assert is_shown(charts, goal, charts.ann)
    office.sync.run()
    copy = office.there("Goal", goal)
    assert (copy["id"], copy["description"]) == (there, {"text": ANNS_WORDS})
    assert copy["subject"] == {"reference": f"Patient/{charts.ann_there}"}
    assert office.states() == {"synced": 1}
    assert office.sync.moved() == []
    for reader in (charts.ann, charts.bob, None):
        assert BOBS_WORDS not in charts.read_by(reader)
    with pytest.raises(NotFound):
        decide(charts, goal, WRITE_BACK)


def test_what_was_edited_here_meanwhile_is_written_back_too(charts: Charts, ehr: EHR) -> None:
    goal = set_aside(charts, born_there=False)
    charts.office.change("Goal", goal, statusDate="2026-03-01", note=[{"text": "Ann's note"}])
    decide(charts, goal, WRITE_BACK)
    charts.office.sync.run()
    copy = charts.office.there("Goal", goal)
    assert (copy["statusDate"], copy["note"]) == ("2026-03-01", [{"text": "Ann's note"}])


def test_what_the_other_one_added_to_the_copy_is_taken_out_again(charts: Charts, ehr: EHR) -> None:
    goal = charts.goal()
    charts.move(goal, note=[{"text": BOBS_WORDS}], startDate="2026-01-01")
    charts.office.sync.run()
    decide(charts, goal, WRITE_BACK)
    charts.office.sync.run()
    assert charts.office.there("Goal", goal).keys() & {"note", "startDate"} == set()
    assert charts.office.here("Goal", goal).keys() & {"note", "startDate"} == set()


@BIRTHS
@pytest.mark.parametrize("first", ["push", "pull"])
def test_a_copy_that_changes_again_before_it_is_written_back_is_decided_anew(
    charts: Charts, ehr: EHR, born_there: bool, first: str
) -> None:
    goal = set_aside(charts, born_there=born_there)
    decide(charts, goal, WRITE_BACK)
    there = charts.move(goal, description={"text": f"{BOBS_WORDS} twice"})
    getattr(charts.office.sync, first)()
    assert charts.office.status(goal).state == "moved"
    assert charts.moved().record_id == goal
    assert is_shown(charts, goal, charts.ann) != born_there
    charts.office.sync.run()
    assert charts.office.there("Goal", goal) == there
    decide(charts, goal, WRITE_BACK)
    charts.office.sync.run()
    assert charts.office.there("Goal", goal)["description"] == {"text": ANNS_WORDS}


def test_a_pull_before_the_push_leaves_the_decision_as_it_is(charts: Charts, ehr: EHR) -> None:
    goal = set_aside(charts, born_there=False)
    decide(charts, goal, WRITE_BACK)
    charts.office.sync.pull()
    charts.office.clock.advance(seconds=600)
    charts.office.sync.compare()
    assert charts.office.there("Goal", goal)["description"] == {"text": ANNS_WORDS}
    assert charts.office.sync.moved() == []


@BIRTHS
def test_a_write_back_whose_answer_was_lost_is_found_to_be_done(
    charts: Charts, ehr: EHR, born_there: bool
) -> None:
    ehr.without = {"transaction", "batch", "conditionalCreate"}
    goal = set_aside(charts, born_there=born_there)
    decide(charts, goal, WRITE_BACK)
    lost: list[bool] = []

    def lose_once(request: Request, response: Response) -> Response | None:
        if request.method != "PUT" or lost:
            return None
        lost.append(True)
        return faults.dropped()

    ehr.after = lose_once
    charts.office.sync.push()
    charts.office.clock.advance(seconds=7200)
    ehr.forget()
    charts.office.sync.run()
    assert ehr.writes() == []
    assert charts.office.states() == {"synced": 1}
    assert charts.office.sync.moved() == []
    assert charts.office.there("Goal", goal)["description"] == {"text": ANNS_WORDS}


# Let go.


@BIRTHS
def test_let_go_of_nothing_is_sent_for_the_record_any_more(
    charts: Charts, ehr: EHR, born_there: bool
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=born_there)
    there = office.status(goal).server_id
    before = at(ehr.base_url, "Goal", there)
    decide(charts, goal, LET_GO)
    status = office.status(goal)
    assert (status.state, status.reason, status.server_id) == ("held", "let-go", None)
    office.change("Goal", goal, statusDate="2026-03-01")
    office.clock.advance(seconds=600)
    office.sync.compare()
    assert at(ehr.base_url, "Goal", there) == before
    assert len(everything_at(ehr.base_url, "Goal")) == 1
    assert office.status(goal).state == "held"
    assert office.sync.moved() == []
    assert is_shown(charts, goal, charts.ann)
    assert BOBS_WORDS not in charts.read_by(charts.ann)


@pytest.mark.parametrize("born_there", [True], ids=["born there"])
def test_let_go_of_the_copy_is_found_as_the_others(charts: Charts, ehr: EHR, born_there: bool) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=born_there)
    there = office.status(goal).server_id
    decide(charts, goal, LET_GO)
    office.clock.advance(days=2)
    office.sync.run()
    (found,) = [row for row in office.sync.status()[0] if row.server_id == there]
    assert (found.patient_id, found.state) == (charts.bob, "synced")
    assert BOBS_WORDS in charts.read_by(charts.bob)
    assert BOBS_WORDS not in charts.read_by(charts.ann)


def test_let_go_of_a_copy_with_our_identifier_is_listed_and_nobodys(charts: Charts, ehr: EHR) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=False)
    there = office.status(goal).server_id
    decide(charts, goal, LET_GO)
    office.clock.advance(days=2)
    office.sync.run()
    (listed,) = office.sync.invalid()
    assert (listed.server_id, listed.findings[0]["path"]) == (there, "Goal.identifier[0]")
    for reader in (charts.ann, charts.bob):
        assert BOBS_WORDS not in charts.read_by(reader)


def test_a_retry_after_letting_go_never_takes_the_others_copy(charts: Charts, ehr: EHR) -> None:
    """The copy there still carries our identifier: it is found, and is Bob's."""
    office = charts.office
    goal = set_aside(charts, born_there=False)
    there = office.status(goal).server_id
    before = at(ehr.base_url, "Goal", there)
    decide(charts, goal, LET_GO)
    office.sync.retry(goal, "ehr")
    office.sync.run()
    status = office.status(goal)
    assert (status.state, status.reason) == ("rejected", "identifier-taken")
    assert at(ehr.base_url, "Goal", there) == before

    requests.put(
        f"{ehr.base_url}/Goal/{there}", json={**before, "identifier": []}, timeout=20
    ).raise_for_status()
    office.sync.retry(goal, "ehr")
    office.sync.run()
    assert office.status(goal).state == "synced"
    assert office.status(goal).server_id != there
    assert office.there("Goal", goal)["subject"] == {"reference": f"Patient/{charts.ann_there}"}


def test_what_was_born_there_is_created_again_only_once_it_has_an_identifier(
    charts: Charts, ehr: EHR
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=True)
    decide(charts, goal, LET_GO)
    office.sync.retry(goal, "ehr")
    office.sync.push()
    status = office.status(goal)
    assert (status.state, status.reason) == ("rejected", "no-identifier")
    assert len(everything_at(ehr.base_url, "Goal")) == 1
    office.change("Goal", goal, identifier=[{"system": "urn:test:goals", "value": goal}])
    office.sync.push()
    assert office.status(goal).state == "synced"
    assert office.there("Goal", goal)["subject"] == {"reference": f"Patient/{charts.ann_there}"}


# Either.


def test_an_open_conflict_about_it_ends_with_the_decision(charts: Charts, ehr: EHR) -> None:
    office = charts.office
    goal = charts.goal()
    office.change("Goal", goal, description={"text": "Walk home"})
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "Walk to work"})
    office.sync.pull()
    charts.move(goal)
    office.sync.pull()
    decide(charts, goal, WRITE_BACK)
    assert office.sync.conflicts()[0] == []
    (decided,), _ = office.sync.conflicts(resolved=True)
    assert (decided.record_id, decided.resolved_by) == (goal, "doctor")
    office.sync.run()
    assert office.there("Goal", goal)["description"] == {"text": "Walk home"}
    assert office.states() == {"synced": 1}
