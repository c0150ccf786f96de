"""What a body may hold, what it may not, and what is kept of it."""

from typing import Any

import pytest

from tests.contract.server import Server, address, assert_refused, unique, without


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"Goal"',
        '{"resourceType":"Goal"',
        '{"resourceType":"Wish"}',
        '{"resourceType":"CarePlan"}',
        '{"resourceType":"Goal","target":[{"detailQuantity":{"value":NaN}}]}',
    ],
    ids=["nothing", "list", "no type", "text", "truncated", "unknown type", "another type", "not a number"],
)
def test_a_body_that_is_no_resource_of_the_type_is_refused(server: Server, text: str) -> None:
    assert_refused(server.request("POST", "/Goal", text), 400)


def test_a_body_of_another_content_type_is_refused(server: Server) -> None:
    assert_refused(server.post(server.goal(), Content_Type="text/plain"), 400)


def test_plain_json_is_fine(server: Server) -> None:
    assert server.post(server.goal(), Content_Type="application/json").status_code == 201


@pytest.mark.parametrize(
    "elements",
    [
        {"lifecycleStatus": "nonsense"},
        {"lifecycleStatus": 5},
        {"startDate": "2025-02-30"},
        {"startDate": "30/02/2025"},
        {"target": [{"dueDate": "soon"}]},
    ],
    ids=["unknown code", "number for a code", "impossible date", "other form of date", "date further down"],
)
def test_a_value_that_cannot_be_is_refused(server: Server, elements: dict[str, Any]) -> None:
    assert_refused(server.post(server.goal(**elements)), 400)


@pytest.mark.parametrize("name", ["status", "intent"])
def test_the_codes_of_a_plan_are_known(server: Server, name: str) -> None:
    assert_refused(server.post(server.plan(**{name: "nonsense"})), 400)


@pytest.mark.parametrize("name", ["description", "lifecycleStatus", "subject"])
def test_a_missing_element_is_accepted(server: Server, name: str) -> None:
    """Real servers hold what is not valid R4, and a client must live with it."""
    created = server.made(without(server.goal(), name))

    assert name not in server.get(address(created)).json()


@pytest.mark.parametrize("resource_type", ["CarePlan", "ServiceRequest", "QuestionnaireResponse"])
def test_an_empty_resource_is_accepted(server: Server, resource_type: str) -> None:
    assert server.made({"resourceType": resource_type})["id"]


@pytest.mark.parametrize("empty", ["", {}, {"text": ""}])
def test_what_is_empty_is_dropped(server: Server, empty: object) -> None:
    assert "description" not in server.made(server.goal(description=empty))


@pytest.mark.parametrize("number", ["7.50", "0.0000001", "12345678901234567890.123456789", "-5.0", "100"])
def test_a_number_keeps_its_text(server: Server, number: str) -> None:
    text = '{"resourceType":"Goal","target":[{"detailQuantity":{"value":%s,"unit":"km"}}]}'

    created = server.request("POST", "/Goal", text % number)

    assert f'"value":{number},' in server.get(address(created.json())).text.replace(" ", "")


def test_extensions_siblings_contained_and_partial_dates_are_kept(server: Server) -> None:
    extension = [{"url": "http://example.org/e", "valueString": "kept"}]
    elements: dict[str, Any] = {
        "contained": [{"resourceType": "Condition", "id": "back", "subject": server.subject}],
        "modifierExtension": [{"url": "http://example.org/m", "valueBoolean": True}],
        "_lifecycleStatus": {"extension": extension},
        "description": {"text": "x", "_text": {"extension": extension}},
        "startDate": "2025-03",
        "addresses": [{"reference": "#back"}],
        "extension": extension,
    }

    read = server.get(address(server.made(server.goal(**elements)))).json()

    assert {name: read[name] for name in elements} == elements


def test_a_narrative_is_kept_even_with_a_script_in_it(server: Server) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a &amp; <b>b</b></p><script>x()</script></div>'

    read = server.get(address(server.made(server.goal(text={"status": "generated", "div": div})))).json()

    assert read["text"]["div"] == div


def test_an_offset_is_kept(server: Server) -> None:
    answers = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": f"http://example.org/{unique()}|1.0",
        "authored": "2026-02-03T10:00:00+05:30",
    }

    assert without(server.made(answers), "id", "meta") == answers
