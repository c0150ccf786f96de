"""Answers to writes whose body is not valid R4: the copy there is read, and no later edit suffers from it."""

import pytest
from flask import Request, Response
from sqlalchemy import select

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store.tables import Link
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import SINGLE, WAYS, After, is_bundle, is_ours, rewritten

each_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS.keys())

#: Members that make a Goal another thing than R4 has, each in its own way.
BAD = {
    "a text for a list": {"target": "tomorrow"},
    "a code that is none": {"lifecycleStatus": "halfway"},
    "no such element": {"mood": "good"},
}
each_kind = pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())


def echoing(bad: Tree, status: set[int]) -> After:
    """Shows of each goal that is written another body than was stored."""

    def spoilt(tree: Tree) -> Tree:
        return {**tree, **bad} if tree.get("resourceType") == "Goal" else tree

    def entry(one: Tree) -> Tree:
        is_meant = int(one["response"]["status"][:3]) in status
        return {**one, "resource": spoilt(one["resource"])} if is_meant else one

    def answer(request: Request, response: Response) -> Response | None:
        if "Prefer" not in request.headers:
            return None
        if is_bundle(request):
            return rewritten(response, lambda tree: {**tree, "entry": [entry(one) for one in tree["entry"]]})
        return rewritten(response, spoilt) if response.status_code in status else None

    return answer


def known(office: Office, goal: str) -> Tree:
    """Return the copy as we know it."""
    with office.database.read() as session:
        body = session.scalars(select(Link.body).where(Link.record_id == goal)).one()
    tree: Tree = exact_json.parse(str(body))
    return tree


@each_way
@each_kind
@pytest.mark.parametrize("status", [{201}, {200}], ids=["create", "update"])
def test_what_a_bad_echo_shows_is_not_taken_for_the_copy(
    office: Office, ehr: EHR, without: set[str], bad: Tree, status: set[int]
) -> None:
    ehr.without, ehr.after = without, echoing(bad, status)
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    assert [known(office, goal) for goal in goals] == [office.there("Goal", goal) for goal in goals]
    for text in ("first edit", "second edit"):
        for goal in goals:
            office.change("Goal", goal, description={"text": text})
        office.sync.run()
        assert office.states() == {"synced": 3}
        assert {office.there("Goal", goal)["description"]["text"] for goal in goals} == {text}
        assert [known(office, goal) for goal in goals] == [office.there("Goal", goal) for goal in goals]
    assert len(office.copies("Goal")) == 3
    assert office.sync.invalid() == []


@each_way
def test_a_copy_that_is_not_valid_when_it_is_read_back_is_set_aside_until_it_is_mended(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(2)]
    spoilt = [False]

    def shown(tree: Tree) -> Tree:
        if tree.get("resourceType") == "Bundle":
            entries = [{**one, "resource": shown(one["resource"])} for one in tree.get("entry", [])]
            return {**tree, "entry": entries}
        is_goal = tree.get("resourceType") == "Goal"
        return {**tree, "target": "tomorrow"} if is_goal and spoilt else tree

    ehr.after = lambda request, response: rewritten(response, shown) if is_ours(request) else None
    office.sync.push()
    assert {(office.status(goal).state, office.status(goal).reason) for goal in goals} == {
        ("rejected", "not-valid-there")
    }
    office.change("Goal", goals[0], description={"text": "edited"})
    office.sync.run()
    assert office.status(goals[0]).reason == "not-valid-there"
    assert len(office.sync.invalid()) == 2

    spoilt.clear()
    for goal in goals:
        office.sync.retry(goal)
    office.sync.run()
    assert office.states() == {"synced": 2}
    assert len(office.copies("Goal")) == 2
    assert office.there("Goal", goals[0])["description"] == {"text": "edited"}


def spoil(office: Office, goal: str, **bad: object) -> None:
    """Have what we know of a copy be wrong, though its version is right."""
    with office.database.begin() as session:
        link = session.scalars(select(Link).where(Link.record_id == goal)).one()
        assert link.body is not None
        link.body = exact_json.dump({**exact_json.parse(link.body), **bad})


@each_way
def test_an_edit_that_does_not_fit_what_we_know_of_the_copy_is_put_onto_the_copy_itself(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    for goal in goals[:2]:
        spoil(office, goal, target="tomorrow")
    for goal in goals:
        office.change("Goal", goal, description={"text": "edited"})
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert {office.there("Goal", goal)["description"]["text"] for goal in goals} == {"edited"}


def test_what_somebody_changed_there_meanwhile_is_merged(office: Office, ehr: EHR) -> None:
    goal = office.goal("walk")
    office.sync.push()
    office.change_there("Goal", goal, note=[{"text": "theirs"}])
    spoil(office, goal, lifecycleStatus="halfway")
    office.change("Goal", goal, description={"text": "run"})
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert office.here("Goal", goal)["note"] == [{"text": "theirs"}]
    assert office.there("Goal", goal)["description"] == {"text": "run"}


def test_a_copy_is_read_once_before_its_record_is_set_aside(office: Office, ehr: EHR) -> None:
    """The copy there is as bad as we know it."""
    ehr.without = SINGLE
    goal = office.goal("walk")
    office.sync.push()
    spoil(office, goal, mood="good")
    office.change("Goal", goal, description={"text": "run"})
    url = f"/Goal/{office.status(goal).server_id}"
    ehr.after = lambda request, response: (
        rewritten(response, lambda tree: {**tree, "mood": "good"})
        if request.method == "GET" and request.path.endswith(url)
        else None
    )
    ehr.forget()
    office.sync.push()
    status = office.status(goal)
    assert (status.state, status.reason) == ("rejected", "not-valid-there")
    log = ehr.app.extensions["mainstay_sandbox"].requests
    assert [one.method for one in log if one.path.endswith(url)] == ["GET"]


def test_a_newer_version_that_is_not_valid_is_not_merged_when_an_update_meets_it(
    office: Office, ehr: EHR
) -> None:
    ehr.without = SINGLE
    goal = office.goal("walk")
    office.sync.push()
    before = known(office, goal)
    office.change_there("Goal", goal, note=[{"text": "theirs"}])
    office.change("Goal", goal, description={"text": "run"})
    ehr.after = lambda request, response: (
        rewritten(response, lambda tree: {**tree, "mood": "good"})
        if request.method == "GET" and is_ours(request) and "/Goal/" in request.path
        else None
    )
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "not-valid-there")
    assert (known(office, goal), office.sync.conflicts()[0]) == (before, [])
    assert "note" not in office.here("Goal", goal)
