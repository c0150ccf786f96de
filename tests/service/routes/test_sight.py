"""Whoever is confined to one patient cannot tell another's record from one that is nowhere."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from fhir_mappings.exact_json import Tree
from service.record_types import IN_OUR_WORDS
from tests import builders
from tests.service.routes.caller import Answer, Api, AsPrincipal, fhir_goal, goal

SYSTEM = "https://clinic.example/patients"
SCOPE = "patient/*.cruds user/*.cruds system/*.cruds mainstay/sync"
MISSING = "00000000-0000-4000-8000-000000000000"
NOUNS = {kind.path: kind.resource_type for kind in IN_OUR_WORDS}
TYPES = tuple(NOUNS.values())
#: What is another in any two answers: when, and which request.
_PASSING = ("Date", "X-Request-Id")

#: Asks for what has the id given.
Ask = Callable[[str], Answer]


class Two:
    """One patient's app, another patient, and a record of each type of theirs, one of them withdrawn."""

    def __init__(self, as_principal: AsPrincipal) -> None:
        everyone = as_principal()
        self.own, self.other = everyone.register("MS-1"), everyone.register("MS-2")
        self.api = as_principal(scope=SCOPE, patient=self.own)
        self.theirs = {type_: self._made(everyone, type_, self.other) for type_ in TYPES}
        self.ours = {type_: self._made(everyone, type_, self.own) for type_ in TYPES}
        withdrawn = self._made(everyone, "Goal", self.other)
        assert everyone.post(f"/api/v1/goals/{withdrawn}/withdraw").status == 200
        self.withdrawn = withdrawn

    def _made(self, api: Api, type_: str, patient: str) -> str:
        made = api.post(f"/fhir/{type_}", builders.TREES[type_](patient))
        assert made.status == 201, made
        record_id: str = made.json["id"]
        return record_id


@pytest.fixture
def two(as_principal: AsPrincipal) -> Two:
    return Two(as_principal)


def told(answer: Answer, *ids: str) -> tuple[int, dict[str, str], str]:
    """All that an answer tells, its ids and what passes aside."""
    text = answer.text
    for id_ in ids:
        text = text.replace(id_, "ID")
    headers = {name: value for name, value in answer.headers.items() if name not in _PASSING}
    headers.pop("Content-Length", None)
    return answer.status, headers, text


def assert_alike(two: Two, theirs: str, ask: Ask) -> int:
    """Compare what is told of another's record with what is told of none."""
    existing, missing = told(ask(theirs), theirs), told(ask(MISSING), MISSING)
    assert existing == missing
    return existing[0]


def operations_on_a_record(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Method, path and resource type of every operation on one record or conflict."""
    for path, methods in app.extensions["openapi"]["paths"].items():
        if "{record_id}" in path or "{conflict_id}" in path:
            noun = path.split("/")[2 if path.startswith("/fhir") else 3]
            for method in methods.keys() - {"parameters"}:
                yield method.upper(), path, NOUNS.get(noun, noun)


def test_no_operation_tells_anothers_record_from_none(two: Two, guarded_app: Flask) -> None:
    tried = 0
    for method, path, type_ in operations_on_a_record(guarded_app):
        for theirs in (two.theirs.get(type_, two.theirs["Goal"]), two.withdrawn):
            for body in [None] if method == "GET" else [None, {}, "{", _body(path, type_, two.own)]:
                for if_match in (None, 'W/"1"', 'W/"7"', "x"):
                    ask = asking(two, method, path, body, if_match)
                    assert assert_alike(two, theirs, ask) >= 400, (method, path, body)
                    tried += 1
    assert tried > 300


def asking(two: Two, method: str, path: str, body: Any, if_match: str | None) -> Ask:
    def ask(id_: str) -> Answer:
        concrete = path.replace("{record_id}", id_).replace("{conflict_id}", id_).replace("{version_id}", "1")
        sent = {**body, "id": id_} if isinstance(body, dict) and "subject" in body else body
        return two.api.send(method, concrete, sent, {} if if_match is None else {"If-Match": if_match})

    return ask


def _body(path: str, type_: str, patient: str) -> Tree:
    """A body that is good enough for the operation."""
    if path.startswith("/fhir"):
        made = builders.TREES.get(type_)
        return made(patient) if made else {"resourceType": type_, "status": "active"}
    return {"keep": "here"} if "sync" in path else goal(patient)


def assert_paths_alike(two: Two, theirs: str, *paths: str) -> None:
    for path in paths:

        def ask(id_: str, path: str = path) -> Answer:
            return two.api.get(path.format(id_))

        assert_alike(two, theirs, ask)


@pytest.mark.parametrize("type_", TYPES)
def test_no_search_tells_anothers_record_from_none(two: Two, type_: str) -> None:
    queries = (
        "_id={}",
        "identifier={}",
        "identifier=urn:x%7C{}",
        "_after={}",
        "_id={},x",
        "_after={}&_count=1",
    )
    assert_paths_alike(two, two.theirs[type_], *[f"/fhir/{type_}?{query}" for query in queries])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for query in queries:

        def post(id_: str, query: str = query) -> Answer:
            return two.api.send("POST", f"/fhir/{type_}/_search", query.format(id_), form)

        assert_alike(two, two.theirs[type_], post)


@pytest.mark.parametrize("noun", NOUNS)
def test_no_list_tells_anothers_record_from_none(two: Two, noun: str) -> None:
    queries = ("after={}", "identifier={}", "identifier=urn:x%7C{}", "after={}&limit=1")
    assert_paths_alike(two, two.theirs[NOUNS[noun]], *[f"/api/v1/{noun}?{query}" for query in queries])


def test_no_list_of_something_else_tells_anothers_record_from_none(two: Two) -> None:
    assert_paths_alike(
        two,
        two.theirs["Goal"],
        "/fhir/Questionnaire?_after={}",
        "/fhir/Questionnaire?_id={}",
        "/api/v1/questionnaires?after={}",
        "/fhir/CarePlan?_after={}",
        "/fhir/Patient?_after={}",
        "/api/v1/patients?after={}",
        "/api/v1/sync/status?after={},x",
    )


def test_no_way_to_ask_for_a_patient_tells_another_from_none(two: Two) -> None:
    paths = (
        "/fhir/Patient/{}",
        "/fhir/Patient?_id={}",
        "/fhir/Goal?patient={}",
        "/fhir/Goal?subject=Patient/{}",
        "/fhir/Goal?subject=http://localhost/fhir/Patient/{}",
        "/api/v1/patients/{}",
        "/api/v1/patients?after={}",
        "/api/v1/goals?patient={}",
        "/api/v1/sync/status?patient={}",
    )
    assert_paths_alike(two, two.other, *paths)
    for path in ("/fhir/Patient?identifier={}|{}", "/api/v1/patients?identifier={}|{}"):
        asked = [two.api.get(path.format(SYSTEM, value)) for value in ("MS-2", "MS-9")]
        assert told(asked[0], "MS-2") == told(asked[1], "MS-9")
    for value in ("MS-2", "MS-9"):
        body = {"identifiers": [{"system": SYSTEM, "value": value}]}
        assert two.api.post("/api/v1/patients", body).status == 403


def references_to(type_: str, id_: str) -> list[str]:
    """Ways to name a record or a patient in a resource."""
    literal = f"{type_}/{id_}"
    return [
        literal,
        f"{literal}/_history/1",
        f"http://localhost/fhir/{literal}",
        f"https://ehr.example/fhir/{literal}",
        f"{type_}?_id={id_}",
    ]


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("way", range(5))
def test_no_reference_tells_anothers_record_from_none(two: Two, type_: str, way: int) -> None:
    def extended(id_: str) -> Answer:
        value = {"reference": references_to(type_, id_)[way]}
        extension = [{"url": "https://x.example/e", "valueReference": value}]
        return two.api.post("/fhir/Goal", fhir_goal(two.own, extension=extension))

    def contained(id_: str) -> Answer:
        note = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
        note["subject"] = {"reference": references_to(type_, id_)[way]}
        goal = fhir_goal(
            two.own, contained=[note], note=[{"text": "x", "authorReference": {"reference": "#b"}}]
        )
        return two.api.post("/fhir/Goal", goal)

    for ask in (extended, contained):
        assert assert_alike(two, two.theirs[type_], ask) == 422


def test_no_reference_in_a_record_tells_anothers_from_none(two: Two) -> None:
    def post(id_: str) -> Answer:
        return two.api.post("/api/v1/care-plans", {**plan(two.own), "goals": [{"reference": f"Goal/{id_}"}]})

    def put(id_: str) -> Answer:
        path = f"/api/v1/care-plans/{two.ours['CarePlan']}"
        current = two.api.get(path)
        body = {**current.json, "goals": [{"reference": f"Goal/{id_}"}]}
        return two.api.put(path, body, If_Match=current.etag)

    for ask in (post, put):
        assert assert_alike(two, two.theirs["Goal"], ask) == 422


def plan(patient: str) -> Tree:
    return {"type": "CarePlan", "status": "active", "subject": {"reference": f"Patient/{patient}"}}


def test_no_reference_tells_another_patient_from_nobody(two: Two) -> None:
    def by_id(id_: str) -> Answer:
        return two.api.post("/fhir/Goal", fhir_goal(two.own, expressedBy={"reference": f"Patient/{id_}"}))

    def by_name(value: str) -> Answer:
        named = {"type": "Patient", "identifier": {"system": SYSTEM, "value": value}}
        return two.api.post("/fhir/Goal", fhir_goal(two.own, expressedBy=named))

    def twice(value: str) -> Answer:
        named = {"reference": f"Patient/{two.own}", "identifier": {"system": SYSTEM, "value": value}}
        return two.api.post("/fhir/Goal", fhir_goal(two.own, subject=named))

    def subject(id_: str) -> Answer:
        return two.api.post("/fhir/Goal", fhir_goal(id_))

    def subject_by_name(value: str) -> Answer:
        named = {"identifier": {"system": SYSTEM, "value": value}}
        return two.api.post("/fhir/Goal", fhir_goal(two.own, subject=named))

    assert assert_alike(two, two.other, by_id) == 422
    assert assert_alike(two, two.other, subject) == 403
    for ask, status in ((by_name, 422), (twice, 422), (subject_by_name, 403)):
        assert told(ask("MS-2"), "MS-2") == told(ask("MS-9"), "MS-9")
        assert ask("MS-2").status == status


def test_no_id_that_is_chosen_tells_whether_it_is_taken(two: Two) -> None:
    def ask(id_: str) -> Answer:
        return two.api.post("/api/v1/goals", {**goal(two.own), "id": id_})

    assert assert_alike(two, two.theirs["Goal"], ask) == 422
    assert told(ask(two.ours["Goal"]), two.ours["Goal"]) == told(ask(MISSING), MISSING)


def test_what_is_their_own_or_nobodys_may_be_named(two: Two) -> None:
    named = fhir_goal(
        two.own,
        subject={"reference": f"Patient/{two.own}", "identifier": {"system": SYSTEM, "value": "MS-1"}},
        expressedBy={"reference": "Practitioner/p1"},
        addresses=[{"reference": f"ServiceRequest/{two.ours['ServiceRequest']}/_history/1"}],
        note=[{"text": "x", "authorReference": {"identifier": {"system": "urn:staff", "value": "7"}}}],
    )
    made = two.api.post("/fhir/Goal", named)
    assert made.status == 201, made
    record = two.api.post(
        "/api/v1/care-plans", {**plan(two.own), "goals": [{"reference": f"Goal/{made.json['id']}"}]}
    )
    assert record.status == 201, record


def test_what_others_wrote_into_their_record_may_be_sent_back(two: Two, as_principal: AsPrincipal) -> None:
    parent = as_principal().register("MS-3")
    made = as_principal().post(
        "/fhir/Goal", fhir_goal(two.own, expressedBy={"reference": f"Patient/{parent}"})
    )
    path = f"/fhir/Goal/{made.json['id']}"
    changed = {**two.api.get(path).json, "description": {"text": "Swim"}}
    assert two.api.put(path, changed, If_Match='W/"1"').status == 200
    record = two.api.get(f"/api/v1/goals/{made.json['id']}")
    again = {**record.json, "statement": "Run"}
    assert two.api.put(f"/api/v1/goals/{made.json['id']}", again, If_Match=record.etag).status == 200


def test_pages_of_their_own_records_lead_on(two: Two, as_principal: AsPrincipal) -> None:
    for _ in range(2):
        as_principal().post("/api/v1/goals", goal(two.own))
    seen, path = set(), "/api/v1/goals?limit=1"
    while path:
        page = two.api.get(path).json
        seen |= {item["id"] for item in page["items"]}
        path = page.get("next")
    assert len(seen) == 3
    first = two.api.get("/fhir/Goal?_count=1").json
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    assert two.api.get(following.removeprefix("http://localhost")).json["entry"]
