"""Search: which resources, in which order."""

from urllib.parse import quote

import pytest
import requests

from tests.contract.server import Server, Tree, assert_refused, identifier, unique


def test_an_identifier_is_found_by_system_and_value(server: Server) -> None:
    goal = server.made(server.goal())
    system, value = identifier(goal).split("|")

    assert server.found(f"/Goal?identifier={system}|{value}") == [goal["id"]]
    assert server.found(f"/Goal?identifier={value}") == [goal["id"]]
    assert server.found(f"/Goal?identifier={quote(f'{system}|{value}', safe='')}") == [goal["id"]]
    assert server.found(f"/Goal?identifier=|{value}") == []
    assert server.found(f"/Goal?identifier=urn:test:other|{value}") == []
    assert server.found(f"/Goal?patient={server.patient_id}&identifier={system}|") == [goal["id"]]


def test_an_identifier_without_system_is_found_by_a_bare_bar(server: Server) -> None:
    value = unique()
    goal = server.made(server.goal(identifier=[{"value": value}]))

    assert server.found(f"/Goal?identifier=|{value}") == [goal["id"]]
    assert server.found(f"/Goal?identifier={value}") == [goal["id"]]


def test_an_identifier_that_was_changed_is_found_no_more(server: Server) -> None:
    goal = server.made(server.goal())
    server.put({**goal, "identifier": [{"system": "urn:test:goals", "value": unique()}]})

    assert server.found(f"/Goal?identifier={identifier(goal)}") == []


def test_a_write_is_found_at_once(server: Server) -> None:
    goal = server.goal()
    path = f"/Goal?identifier={identifier(goal)}"
    assert server.found(path) == []

    created = server.made(goal)

    assert server.found(path) == [created["id"]]


def test_the_single_identifier_of_answers_is_found(server: Server) -> None:
    value = f"http://example.org/{unique()}"
    answers = server.made(
        {
            "resourceType": "QuestionnaireResponse",
            "status": "completed",
            "identifier": {"system": "urn:x", "value": value},
        }
    )

    assert server.found(f"/QuestionnaireResponse?identifier=urn:x|{quote(value, safe='')}") == [answers["id"]]


def test_several_values_are_alternatives_and_several_parameters_are_not(server: Server) -> None:
    active, done = server.made(server.goal()), server.made(server.goal(lifecycleStatus="completed"))
    of_patient = f"/Goal?patient={server.patient_id}"

    assert server.found(f"{of_patient}&lifecycle-status=active") == [active["id"]]
    assert sorted(server.found(f"{of_patient}&lifecycle-status=active,completed")) == sorted(
        [active["id"], done["id"]]
    )
    assert server.found(f"{of_patient}&lifecycle-status:not=active") == [done["id"]]
    assert server.found(f"{of_patient}&_id={active['id']}&lifecycle-status=completed") == []
    assert sorted(server.found(f"/Goal?_id={active['id']},{done['id']}")) == sorted(
        [active["id"], done["id"]]
    )


@pytest.mark.parametrize(
    "query", ["patient={}", "patient=Patient/{}", "subject={}", "subject=Patient/{}", "subject:Patient={}"]
)
def test_a_persons_resources_are_found(server: Server, query: str) -> None:
    goal = server.made(server.goal())

    assert server.found(f"/Goal?{query.format(server.patient_id)}") == [goal["id"]]
    assert server.found(f"/Goal?{query.format('not-there')}") == []


def test_a_subject_that_is_no_patient_is_not_found_as_one(server: Server) -> None:
    group = server.made({"resourceType": "Group", "type": "person", "actual": True})
    goal = server.made(server.goal(subject={"reference": f"Group/{group['id']}"}))

    assert server.found(f"/Goal?subject=Group/{group['id']}") == [goal["id"]]
    assert server.found(f"/Goal?patient={group['id']}") == []


def test_plans_are_found_by_what_they_hold(server: Server) -> None:
    goal = server.made(server.goal())
    activity = server.made(
        {"resourceType": "ServiceRequest", "status": "active", "intent": "plan", "subject": server.subject}
    )
    category = [{"coding": [{"system": "urn:test:categories", "code": "assess-plan"}]}]
    plan = server.made(
        server.plan(
            goal=[{"reference": f"Goal/{goal['id']}"}],
            activity=[{"reference": {"reference": f"ServiceRequest/{activity['id']}"}}],
            category=category,
            period={"start": "2026-01-01"},
        )
    )
    part = server.made(server.plan(partOf=[{"reference": f"CarePlan/{plan['id']}"}], status="draft"))
    of_patient = f"/CarePlan?patient={server.patient_id}"

    assert server.found(f"/CarePlan?goal=Goal/{goal['id']}") == [plan["id"]]
    assert server.found(f"/CarePlan?activity-reference=ServiceRequest/{activity['id']}") == [plan["id"]]
    assert server.found(f"/CarePlan?part-of=CarePlan/{plan['id']}") == [part["id"]]
    assert server.found(f"{of_patient}&category=urn:test:categories|assess-plan") == [plan["id"]]
    assert server.found(f"{of_patient}&category=assess-plan") == [plan["id"]]
    assert server.found(f"{of_patient}&status=draft") == [part["id"]]
    assert server.found(f"{of_patient}&date=ge2026-05-01") == [plan["id"]]
    assert server.found(f"{of_patient}&date=le2025-12-31") == []


def test_requests_are_found_by_code_and_day(server: Server) -> None:
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "229070002"}]}
    request = server.made(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "plan",
            "subject": server.subject,
            "authoredOn": "2026-02",
            "code": code,
        }
    )
    of_patient = f"/ServiceRequest?patient={server.patient_id}"

    assert server.found(f"{of_patient}&code=http://snomed.info/sct|229070002") == [request["id"]]
    assert server.found(f"{of_patient}&code=http://loinc.org|229070002") == []
    assert server.found(f"{of_patient}&authored=2026-02") == [request["id"]]
    assert server.found(f"{of_patient}&authored=2026-02-01") == []


def test_answers_are_found_by_their_questionnaire_with_or_without_version(server: Server) -> None:
    url = f"http://example.org/{unique()}"
    answers = server.made(
        {
            "resourceType": "QuestionnaireResponse",
            "status": "completed",
            "questionnaire": f"{url}|1.0",
            "subject": server.subject,
            "authored": "2026-02-03T10:00:00+01:00",
        }
    )

    assert server.found(f"/QuestionnaireResponse?questionnaire={url}") == [answers["id"]]
    assert server.found(f"/QuestionnaireResponse?questionnaire={url}|1.0") == [answers["id"]]
    assert server.found(f"/QuestionnaireResponse?questionnaire={url}|2.0") == []
    of_patient = f"/QuestionnaireResponse?patient={server.patient_id}"
    assert server.found(f"{of_patient}&authored=ge2026-02-03T09:00:00Z") == [answers["id"]]
    assert server.found(f"{of_patient}&authored=gt2026-02-03T09:00:00Z") == []


def test_questionnaires_are_found_by_url_version_and_name(server: Server) -> None:
    url, name = f"http://example.org/{unique()}", f"Odi{unique()}"
    form = server.made(
        {"resourceType": "Questionnaire", "status": "active", "url": url, "version": "1.0", "name": name}
    )

    assert server.found(f"/Questionnaire?url={url}") == [form["id"]]
    assert server.found(f"/Questionnaire?url={url}&version=1.0") == [form["id"]]
    assert server.found(f"/Questionnaire?url={url}&version=2.0") == []
    assert server.found(f"/Questionnaire?name={name.lower()[:20]}") == [form["id"]]
    assert server.found(f"/Questionnaire?name={name[1:]}") == []


@pytest.fixture
def three(server: Server) -> list[Tree]:
    """Three goals of the patient, each stored later than the one before."""
    return [server.made(server.goal()) for _ in range(3)]


@pytest.mark.parametrize(
    ("prefix", "expected"), [("ge", [1, 2]), ("gt", [2]), ("le", [0, 1]), ("lt", [0]), ("eq", [1]), ("", [1])]
)
def test_the_time_of_the_last_change_bounds_a_search(
    server: Server, three: list[Tree], prefix: str, expected: list[int]
) -> None:
    moment = quote(three[1]["meta"]["lastUpdated"])

    found = server.found(
        f"/Goal?patient={server.patient_id}&_sort=_lastUpdated&_lastUpdated={prefix}{moment}"
    )

    assert found == [three[index]["id"] for index in expected]


def test_results_can_be_sorted_by_the_time_of_the_last_change(server: Server, three: list[Tree]) -> None:
    ids = [goal["id"] for goal in three]
    of_patient = f"/Goal?patient={server.patient_id}"

    assert server.found(f"{of_patient}&_sort=_lastUpdated") == ids
    assert server.found(f"{of_patient}&_sort=-_lastUpdated") == ids[::-1]


def test_only_the_number_can_be_asked_for(server: Server, three: list[Tree]) -> None:
    for shape in ("_summary=count", "_count=0"):
        bundle = server.search(f"/Goal?patient={server.patient_id}&{shape}")
        assert bundle["total"] == 3
        assert "entry" not in bundle


def test_a_search_says_what_it_is_and_where_its_results_live(server: Server) -> None:
    goal = server.made(server.goal())

    bundle = server.search(f"/Goal?identifier={identifier(goal)}")

    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 1)
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    [found] = bundle["entry"]
    assert found["fullUrl"] == f"{server.base}/Goal/{goal['id']}"
    assert (found["resource"], found["search"]) == (goal, {"mode": "match"})


def test_a_search_that_finds_nothing_has_no_entry(server: Server) -> None:
    bundle = server.search(f"/Goal?identifier=urn:test:goals|{unique()}")

    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_a_search_may_be_posted(server: Server) -> None:
    goal = server.made(server.goal())

    response = requests.post(
        f"{server.base}/Goal/_search?lifecycle-status=active", data={"patient": server.patient_id}, timeout=30
    )

    assert [entry["resource"]["id"] for entry in response.json()["entry"]] == [goal["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "wish=1",
        "status=active",
        "_sort=wish",
        "_count=many",
        "_lastUpdated=yesterday",
        "_lastUpdated=ge2026-13",
    ],
)
def test_a_parameter_that_the_server_does_not_understand_is_refused(server: Server, query: str) -> None:
    assert_refused(server.get(f"/Goal?{query}"), 400)
    assert_refused(server.get(f"/Goal?{query}", Prefer="handling=lenient"), 400)


def test_a_parameter_without_value_selects_nothing(server: Server) -> None:
    goal = server.made(server.goal())

    assert server.found(f"/Goal?patient={server.patient_id}&identifier=") == [goal["id"]]
