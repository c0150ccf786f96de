"""Servers that answer searches in their own way: a search is not a record, and neither is the connection."""

import pytest
import requests
from flask import Request, Response

from fhir_mappings.exact_json import Tree
from service.config import Config
from service.sandbox.faults import Before
from service.wiring import wired
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.servers import SINGLE, one_value_only, outcome, rewritten

BY_SNAPSHOT = {"_lastUpdated"}


def at_most_a_hundred(request: Request) -> Response | None:
    return outcome(400, "_count: at most 100") if int(request.args.get("_count", 0)) > 100 else None


def short_urls_only(request: Request) -> Response | None:
    return Response("", 414) if len(request.url) > 700 else None


@pytest.mark.parametrize("server", [at_most_a_hundred, short_urls_only, one_value_only("identifier")])
def test_a_server_that_takes_less_in_a_search_gets_every_record_once(
    office: Office, ehr: EHR, server: Before
) -> None:
    """Without conditional creates each record is looked for before it is sent."""
    ehr.without, ehr.before = SINGLE, server
    goals = [office.goal(f"goal {number}") for number in range(12)]
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.states() == {"synced": 12}
    assert len(office.copies("Goal")) == 12
    office.clock.advance(seconds=600)
    office.change_there("Goal", goals[0], description={"text": "edited there"})
    office.sync.run()
    assert office.here("Goal", goals[0])["description"] == {"text": "edited there"}


@pytest.mark.parametrize("server", [at_most_a_hundred, short_urls_only, one_value_only("identifier")])
def test_a_server_that_takes_less_in_a_search_finds_everybody(
    office: Office, ehr: EHR, server: Before
) -> None:
    """Persons are looked for by long identifiers, and what records name by identifier alone too."""
    ehr.before = server
    people = [office.patient()[0] for _ in range(24)]
    goals = [office.goal(patient=one) for one in people]
    names = [f"urn:test:staff:{'x' * 60}:{number}" for number in range(9)]
    for name in names:
        identifier = [{"system": "urn:npi", "value": name}]
        office.post({"resourceType": "Practitioner", "identifier": identifier})
    for goal, name in zip(goals, names, strict=False):
        by_name = {"type": "Practitioner", "identifier": {"system": "urn:npi", "value": name}}
        office.change("Goal", goal, expressedBy=by_name)
    report = office.sync.push()
    assert (report.problem, report.unmatched) == (None, 0)
    assert office.states() == {"synced": 24}


@pytest.mark.parametrize("resource_type", ["Patient", "Goal"])
@pytest.mark.parametrize("answer", [outcome(400), outcome(403), Response("", 414), outcome(501)])
def test_a_search_that_is_refused_is_no_fault_of_a_record(
    office: Office, ehr: EHR, resource_type: str, answer: Response
) -> None:
    ehr.without = SINGLE
    goals = [office.goal(f"goal {number}") for number in range(30)]
    ehr.before = lambda request: (
        answer if request.path.endswith(f"/{resource_type}") and request.method == "GET" else None
    )
    ehr.forget()
    office.sync.push()
    assert office.states() == {"pending": 30}
    assert not ehr.writes()
    assert ehr.reads() < 30
    status = office.status(goals[0])
    hidden = (resource_type, answer.status_code) == ("Patient", 403)
    reason = "patient-not-readable-there" if hidden else "lookup-refused"
    assert (status.reason, bool(status.next_step)) == (reason, True)
    if resource_type == "Goal":
        assert bool(status.outcome) is (answer.mimetype == "application/fhir+json")
    ehr.before = lambda request: None
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 30}


def test_one_identifier_that_is_refused_holds_up_no_others(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    goals = [office.goal(f"goal {number}") for number in range(9)]
    ehr.before = lambda request: outcome(400) if goals[4] in request.args.get("identifier", "") else None
    office.sync.push()
    assert office.states() == {"synced": 8, "pending": 1}
    assert office.status(goals[4]).reason == "lookup-refused"


def test_what_cannot_be_read_in_a_search_is_not_taken_for_nothing(office: Office, ehr: EHR) -> None:
    """It may be the record's own copy: to create it would double it."""
    ehr.without = SINGLE
    hidden, other = office.goal("hidden"), office.goal("other")

    def shows_half(request: Request, response: Response) -> Response | None:
        if hidden not in request.args.get("identifier", ""):
            return None
        entry = [{"resource": {"resourceType": "Goal", "description": {"text": "hidden"}}}]
        return rewritten(response, lambda bundle: {**bundle, "entry": entry})

    ehr.after = shows_half
    office.sync.push()
    assert ehr.writes() == ["POST /fhir/Goal"]
    assert (office.status(hidden).state, office.status(hidden).reason) == ("pending", "lookup-refused")
    ehr.after = lambda request, response: None
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert {office.status(one).state for one in (hidden, other)} == {"synced"}
    assert len(office.copies("Goal")) == 2


@pytest.mark.parametrize("without", [set(), BY_SNAPSHOT], ids=["by time", "by snapshot"])
def test_what_a_pull_cannot_read_is_counted_and_the_rest_is_taken(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    good = office.goal_there()
    odd = [{"resource": {"resourceType": "Goal"}}, {"resource": None}, "Goal/7"]

    def shows_odd_things(request: Request, response: Response) -> Response | None:
        if not request.path.endswith("/Goal"):
            return None
        return rewritten(response, lambda bundle: {**bundle, "entry": [*bundle.get("entry", []), *odd]})

    ehr.after = shows_odd_things
    report = office.sync.pull()
    assert (report.pulled, report.unreadable) == (1, 3)
    assert office.linked() == {good["id"]}


def test_a_search_that_one_type_does_not_allow_keeps_back_no_other(office: Office, ehr: EHR) -> None:
    """And patients who came in the meantime are read as a whole once it is allowed."""
    newcomer = office.register_there("newcomer")
    old = office.goal_there(newcomer)
    office.clock.advance(seconds=600)
    goal = office.goal("walk")
    plan = office.plan(goal)
    office.sync.run()
    ehr.before = lambda request: (
        outcome(403) if request.path.endswith("/Goal") and "patient" in request.args else None
    )
    office.clock.advance(seconds=600)
    office.change_there("CarePlan", plan, title="theirs")
    office.chart.register_patient([(office.patient_system, "newcomer")], ACTOR)
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, ["ehr: lookup-refused"])
    assert office.here("CarePlan", plan)["title"] == "theirs"
    ehr.before = lambda request: None
    office.clock.advance(seconds=6000)
    assert office.sync.run().problems == []
    assert old["id"] in office.linked()


def test_a_page_that_cannot_be_followed_costs_no_page_that_came(office: Office, ehr: EHR) -> None:
    goal = office.goal_there()
    link = [{"relation": "next", "url": "http://elsewhere.test/other?page=2"}]
    ehr.after = lambda request, response: (
        rewritten(response, lambda bundle: {**bundle, "link": link})
        if request.path.endswith("/Goal")
        else None
    )
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, ["ehr: pages-broken"])
    assert office.linked() == {goal["id"]}
    # What was not read to its end is read from its beginning, until it is.
    ehr.after = lambda request, response: None
    second = office.goal_there()
    assert office.sync.run().problems == []
    assert office.linked() == {goal["id"], second["id"]}


def test_the_time_for_a_listing_is_a_setting(office: Office, ehr: EHR) -> None:
    for _ in range(3):
        office.goal_there()
    ehr.before = at_most_a_page
    for seconds, problems in ((1e-6, ["ehr: pages-broken"]), (60.0, [])):
        config = Config(listing_timeout_seconds=seconds)
        sync = wired(config, database=office.database, clock=office.clock).sync
        assert sync.pull().problems == problems
    assert len(office.linked()) == 3


def at_most_a_page(request: Request) -> Response | None:
    """One resource a page, whatever is wished for."""
    if not request.path.endswith("/Goal") or request.args.get("_count") == "1":
        return None
    found = requests.get(request.base_url, params={**request.args, "_count": "1"}, timeout=20)
    return Response(found.content, found.status_code, content_type="application/fhir+json")


@pytest.mark.parametrize("path", ["/metadata", "/Patient", "/Goal"])
def test_what_is_no_capability_statement_takes_no_kind_of_record_away(
    office: Office, ehr: EHR, path: str
) -> None:
    goal = office.goal()
    office.clock.advance(days=1)
    ehr.before = lambda request: (
        Response(outcome(200).get_data(), 200, content_type="application/fhir+json")
        if request.path.endswith(path) and request.method == "GET"
        else None
    )
    report = office.sync.push()
    assert report.rejected == 0
    assert office.status(goal).state in ("pending", "synced")


@pytest.mark.parametrize("resource_type", ["Patient", "Practitioner"])
def test_who_is_shown_beside_what_cannot_be_read_is_not_taken_for_the_only_one(
    office: Office, ehr: EHR, resource_type: str
) -> None:
    """An entry without an id may be somebody else who has the identifier."""
    patient = office.patient()[0]
    identifier = {"system": "urn:npi", "value": "dr"}
    office.post({"resourceType": "Practitioner", "identifier": [identifier]})
    by_name = {"type": "Practitioner", "identifier": identifier}
    goal = office.goal(patient=patient, expressedBy=by_name)

    def with_a_nameless_one(tree: Tree) -> Tree:
        nameless = {"resource": {"resourceType": resource_type}, "search": {"mode": "match"}}
        return {**tree, "entry": [*tree.get("entry", []), nameless]}

    ehr.after = lambda request, response: (
        rewritten(response, with_a_nameless_one) if request.path == f"/fhir/{resource_type}" else None
    )
    ehr.forget()
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("pending", "lookup-refused")
    assert not ehr.writes()
    ehr.after = lambda request, response: None
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.status(goal).state == "synced"
