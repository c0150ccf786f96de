"""A copy that the server has given to another patient: found, set aside, shown to nobody, and back again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import Conflict, NotFound
from tests.clock import Clock
from tests.databases import opened
from tests.service.cli.running import mainstay
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.two_charts import (
    ANNS_WORDS,
    BIRTHS,
    BOBS_WORDS,
    Charts,
    Find,
    by_an_edit_here,
    by_full_comparison,
    by_pull,
    raw,
    require_set_aside,
)

HISTORY: set[str] = set()
NO_HISTORY = {"history-type"}
SNAPSHOT = {"_lastUpdated"}

BOB = pytest.mark.parametrize("bob_is_here", [True, False], ids=["Bob is here", "Bob is nobody here"])


@pytest.fixture
def hapi_office(hapi: str, tmp_path: Path, clock: Clock) -> Iterator[Office]:
    """An office connected to a real server."""
    with opened(f"sqlite:///{tmp_path / 'office.db'}") as database:
        office = Office(database, hapi, clock)
        office.connect()
        office.sync.run()
        yield office


@BIRTHS
@BOB
@pytest.mark.parametrize("without", [HISTORY, NO_HISTORY, SNAPSHOT], ids=["history", "by time", "snapshot"])
@pytest.mark.parametrize("find", [by_pull, by_full_comparison])
def test_a_copy_that_moved_is_found_wherever_the_server_lists_it(
    office: Office,
    ehr: EHR,
    born_there: bool,
    bob_is_here: bool,
    without: set[str],
    find: Find,
) -> None:
    ehr.without = without
    charts = Charts(office, bob_is_here=bob_is_here)
    goal = charts.goal(born_there=born_there)
    there = charts.move(goal)
    find(charts, goal)
    require_set_aside(charts, goal, born_there=born_there, bob_is_here=bob_is_here)
    ehr.forget()
    office.clock.advance(seconds=600)
    assert office.sync.run().moved == 0
    assert ehr.writes() == []
    assert office.there("Goal", goal) == there


@BIRTHS
@BOB
def test_a_copy_that_moved_is_found_by_the_refusal_of_an_edit(
    office: Office, ehr: EHR, born_there: bool, bob_is_here: bool
) -> None:
    charts = Charts(office, bob_is_here=bob_is_here)
    goal = charts.goal(born_there=born_there)
    there = charts.move(goal)
    by_an_edit_here(charts, goal)
    require_set_aside(charts, goal, born_there=born_there, bob_is_here=bob_is_here)
    assert office.there("Goal", goal) == there


@BIRTHS
@BOB
@pytest.mark.parametrize("find", [by_pull, by_full_comparison, by_an_edit_here])
def test_a_copy_that_moved_is_found_on_a_real_server(
    hapi_office: Office, born_there: bool, bob_is_here: bool, find: Find
) -> None:
    charts = Charts(hapi_office, bob_is_here=bob_is_here)
    goal = charts.goal(born_there=born_there)
    there = charts.move(goal)
    find(charts, goal)
    require_set_aside(charts, goal, born_there=born_there, bob_is_here=bob_is_here)
    hapi_office.sync.run()
    assert hapi_office.there("Goal", goal) == there


@BIRTHS
def test_a_copy_that_moved_is_shown_in_no_export(
    office: Office, ehr: EHR, database_url: str, born_there: bool
) -> None:
    charts = Charts(office)
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    office.sync.pull()
    env = {"MAINSTAY_DATABASE_URL": database_url}
    for arguments in ([], ["--fhir"], ["--patient", charts.ann], ["--patient", charts.bob]):
        exported = mainstay("export", *arguments, env=env).out
        assert BOBS_WORDS not in exported
        assert (ANNS_WORDS in exported) == (not born_there and charts.bob not in arguments)
    assert mainstay("patient", "show", charts.ann, "--json", env=env).lines[0].get("set_aside", 0) == int(
        born_there
    )


def test_what_was_born_here_stays_its_patients_and_can_be_worked_with(office: Office, ehr: EHR) -> None:
    charts = Charts(office)
    goal = charts.goal()
    charts.move(goal)
    office.sync.pull()
    office.change("Goal", goal, description={"text": "Walk around the lake"})
    ehr.forget()
    office.clock.advance(seconds=7200)
    office.sync.run()
    assert ehr.writes() == []
    assert office.status(goal).state == "moved"
    assert office.here("Goal", goal)["description"] == {"text": "Walk around the lake"}
    assert charts.api(charts.ann).get(f"/api/v1/goals/{goal}").status == 200


def test_what_was_born_there_is_neither_read_nor_changed(office: Office, ehr: EHR) -> None:
    charts = Charts(office)
    goal = charts.goal(born_there=True)
    charts.move(goal)
    office.sync.pull()
    tree = raw(office, goal)
    for act in (
        lambda: office.chart.get("Goal", goal),
        lambda: office.chart.history("Goal", goal),
        lambda: office.chart.version("Goal", goal, 1),
        lambda: office.chart.replace(goal, tree, "nurse"),
        lambda: office.chart.withdraw(goal, "nurse"),
    ):
        with pytest.raises(NotFound):
            act()
    for api in (charts.api(), charts.api(charts.ann)):
        assert api.get(f"/fhir/Goal/{goal}").status == 404
        assert api.put(f"/fhir/Goal/{goal}", tree, If_Match='W/"1"').status == 404
    with pytest.raises(Conflict, match="decide about that first"):
        office.sync.retry(goal, "ehr")


@BIRTHS
def test_further_changes_of_the_copy_stay_unseen(office: Office, ehr: EHR, born_there: bool) -> None:
    charts = Charts(office)
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    office.sync.pull()
    charts.move(goal, description={"text": f"{BOBS_WORDS} twice"})
    for find in (by_pull, by_full_comparison):
        find(charts, goal)
        require_set_aside(charts, goal, born_there=born_there, bob_is_here=True)


@BIRTHS
@pytest.mark.parametrize("find", [by_pull, by_full_comparison])
def test_it_comes_back_when_it_is_its_patients_again(
    office: Office, ehr: EHR, born_there: bool, find: Find
) -> None:
    charts = Charts(office)
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    office.sync.run()
    charts.move_back(goal, description={"text": "Both lakes"})
    find(charts, goal)
    office.sync.run()
    assert office.sync.moved() == []
    assert office.status(goal).state == "synced"
    assert office.here("Goal", goal)["description"] == {"text": "Both lakes"}
    assert charts.api().get(f"/api/v1/patients/{charts.ann}").json["set_aside"] == 0
    assert charts.api(charts.ann).get(f"/fhir/Goal/{goal}").status == 200


def test_an_edit_made_meanwhile_meets_what_comes_back(office: Office, ehr: EHR) -> None:
    charts = Charts(office)
    goal = charts.goal()
    charts.move(goal)
    office.sync.run()
    office.change("Goal", goal, statusDate="2026-03-01")
    charts.move_back(goal, description={"text": "Both lakes"})
    office.sync.run()
    for tree in (office.here("Goal", goal), office.there("Goal", goal)):
        assert (tree["description"], tree["statusDate"]) == ({"text": "Both lakes"}, "2026-03-01")
    assert office.states() == {"synced": 1}


def test_one_that_is_in_conflict_when_it_moves_shows_no_word_of_the_other(office: Office, ehr: EHR) -> None:
    charts = Charts(office)
    goal = charts.goal()
    office.change("Goal", goal, description={"text": "Walk home"})
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "Walk to work"})
    office.sync.pull()
    (conflict,), _ = office.sync.conflicts()
    charts.move(goal)
    office.sync.pull()
    assert office.status(goal).state == "moved"
    for reader in (charts.ann, charts.bob, None):
        assert BOBS_WORDS not in charts.read_by(reader)
    with pytest.raises(Conflict, match="decide about that first"):
        office.sync.resolve(conflict.id, "there", "doctor")
