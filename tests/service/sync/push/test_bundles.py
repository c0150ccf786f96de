"""Which answer is whose: by address, by business identifier, by place, or nobody's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import Address, Answered, Outcome, Refused, Unknown
from service.sync.push.bundles import Entry, answers, placeholder, request

SYSTEM = "urn:test:records"
NOT_VALID = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}


def new(name: str, resource_type: str = "Goal", *, named: bool = True) -> Entry:
    """An entry that creates what is called so here."""
    tree = {"resourceType": resource_type, "identifier": [{"system": SYSTEM, "value": name}]}
    return Entry(record_id=f"{resource_type}-{name}", tree=tree, name=(SYSTEM, name) if named else None)


def changed(server_id: str, resource_type: str = "Goal") -> Entry:
    """An entry that replaces version 1 of what has that id there."""
    return Entry(
        record_id=f"record-{server_id}",
        tree={"resourceType": resource_type, "id": server_id},
        replaces=True,
        version="1",
    )


def made(
    server_id: str, *names: str, resource_type: str = "Goal", status: str = "201 Created", version: str = "1"
) -> Tree:
    """An answer that shows the resource."""
    identifiers = [{"system": SYSTEM, "value": name} for name in names]
    body = {"resourceType": resource_type, "id": server_id, "identifier": identifiers}
    return {"response": response(server_id, resource_type, status, version), "resource": body}


def silent(
    server_id: str, resource_type: str = "Goal", status: str = "201 Created", version: str = "1"
) -> Tree:
    """An answer that says where the resource is, and does not show it."""
    return {"response": response(server_id, resource_type, status, version)}


def response(server_id: str, resource_type: str, status: str, version: str) -> Tree:
    location = f"https://ehr.test/fhir/{resource_type}/{server_id}/_history/{version}"
    return {"status": status, "location": location, "etag": f'W/"{version}"'}


def failed(status: str = "422 Unprocessable Entity") -> Tree:
    return {"response": {"status": status, "outcome": NOT_VALID}}


def whose(entries: list[Entry], *parts: Any) -> list[str | int | None]:
    """Return what is said of each entry: the id there, the status of a refusal, None where nothing is."""
    outcomes = answers(entries, {"resourceType": "Bundle", "type": "batch-response", "entry": list(parts)})
    return [said(outcome) for outcome in outcomes]


def said(outcome: Outcome) -> str | int | None:
    if isinstance(outcome, Answered):
        assert outcome.address
        return outcome.address.server_id
    return outcome.status if isinstance(outcome, Refused) else None


A, B, C = new("a"), new("b"), new("c")


def test_in_their_order_answers_belong_to_the_entries_that_they_stand_beside() -> None:
    assert whose([A, B, C], made("1", "a"), failed(), made("3", "c")) == ["1", 422, "3"]


@given(st.permutations(range(5)))
def test_in_whatever_order_answers_come_each_finds_its_entry(order: list[int]) -> None:
    entries = [new("a"), changed("9"), new("c"), new("d", "CarePlan"), changed("8", "CarePlan")]
    parts = [
        made("1", "a"),
        silent("9", status="200 OK", version="2"),
        made("3", "c"),
        made("4", "d", resource_type="CarePlan"),
        silent("8", "CarePlan", status="200 OK", version="2"),
    ]
    assert whose(entries, *(parts[place] for place in order)) == ["1", "9", "3", "4", "8"]


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_with_fewer_answers_than_entries_each_that_shows_itself_is_found(kept: list[bool]) -> None:
    entries = [new("a"), changed("9"), new("c"), new("d", "CarePlan"), changed("8", "CarePlan")]
    parts = [
        made("1", "a"),
        silent("9", status="200 OK"),
        made("3", "c"),
        made("4", "d", resource_type="CarePlan"),
        silent("8", "CarePlan", status="200 OK"),
    ]
    ids = ["1", "9", "3", "4", "8"]
    shown = [part for part, keep in zip(parts, kept, strict=True) if keep]
    assert whose(entries, *shown) == [
        server_id if keep else None for server_id, keep in zip(ids, kept, strict=True)
    ]


def test_several_entries_that_a_server_found_to_be_the_same_have_one_answer() -> None:
    assert whose([A, new("a"), B], made("1", "a"), made("2", "b")) == ["1", "1", "2"]


def test_the_same_name_twice_with_an_answer_each_is_read_by_place() -> None:
    twin = new("a")
    assert whose([A, twin], made("1", "a"), failed("412 Precondition Failed")) == ["1", 412]
    assert whose([A, twin], failed("412 Precondition Failed"), made("1", "a")) == [412, "1"]
    assert whose([A, twin], made("1", "a"), made("2", "a")) == ["1", "2"]


def test_a_name_is_one_only_within_its_type() -> None:
    plan = made("2", "a", resource_type="CarePlan")
    assert whose([A, new("a", "CarePlan"), B], plan, made("1", "a")) == ["1", "2", None]


def test_what_two_resources_are_called_by_is_nobodys() -> None:
    assert whose([A, B, C], made("1", "a"), made("2", "a")) == [None, None, None]
    # Its own place still tells which of the two is meant.
    assert whose([A, changed("2")], made("1", "a"), made("2", "a", status="200 OK")) == ["1", "2"]


def test_in_a_shortened_answer_an_error_is_nobodys() -> None:
    assert whose([A, B, C], made("1", "a"), failed()) == ["1", None, None]
    assert whose([A, B, C], failed(), made("2", "b")) == [None, "2", None]


def test_once_an_answer_stands_in_anothers_place_no_place_says_anything() -> None:
    assert whose([A, B, C], made("3", "c"), failed("400 Bad Request"), failed()) == [None, None, "3"]
    assert whose([A, B, changed("9")], silent("9", status="200 OK"), failed(), made("1", "a")) == [
        "1",
        None,
        "9",
    ]


def test_more_answers_than_entries_count_only_where_they_show_themselves() -> None:
    assert whose([A, B], made("1", "a"), failed(), made("3", "c")) == ["1", None]


def test_an_answer_that_is_no_object_still_takes_its_place() -> None:
    assert whose([A, B], None, made("2", "b")) == [None, "2"]
    assert whose([A, B], "nothing", failed(), failed("400 Bad Request")) == [None, None]


def test_without_resources_shown_answers_are_read_by_place() -> None:
    assert whose([A, B], silent("1"), silent("2")) == ["1", "2"]
    assert whose([A, new("b", named=False)], silent("1"), silent("2")) == ["1", "2"]


def test_an_answer_of_another_type_is_not_the_entrys() -> None:
    assert whose([A], silent("1", "CarePlan")) == [None]
    assert whose([A], made("1", "a", resource_type="CarePlan")) == [None]
    assert whose([new("a", named=False)], made("1", resource_type="CarePlan")) == [None]


def test_an_answer_that_shows_another_resource_is_not_the_entrys() -> None:
    assert whose([A], made("1", "b")) == [None]
    assert whose([A], made("1")) == [None]
    assert whose([changed("9")], silent("8", status="200 OK")) == [None]


def test_an_entry_without_a_name_takes_what_its_place_shows() -> None:
    assert whose([new("a", named=False), B], made("1"), made("2", "b")) == ["1", "2"]


def test_an_answer_without_an_address_says_too_little() -> None:
    assert whose([A, changed("9")], {"response": {"status": "201"}}, {"response": {"status": "200"}}) == [
        None,
        None,
    ]


def test_an_address_that_is_answered_twice_is_its_entrys_where_it_stands() -> None:
    found, replaced = made("9", "a", status="200 OK", version="3"), silent("9", status="200 OK", version="4")
    outcomes = answers([changed("9"), A], {"entry": [replaced, found]})
    assert [one.version for one in outcomes if isinstance(one, Answered)] == ["4", "3"]


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "entry": []},
        {"resourceType": "Bundle", "entry": {"response": {}}},
        {"resourceType": "OperationOutcome", "issue": []},
    ],
)
def test_what_is_no_answer_leaves_every_entry_unknown(body: Tree | None) -> None:
    assert all(isinstance(outcome, Unknown) for outcome in answers([A, B], body))


@pytest.mark.parametrize("status", [None, "", "OK", "2000", "20", [], {}])
def test_an_answer_without_a_status_refuses_nothing(status: Any) -> None:
    assert whose([A], {"response": {"status": status}}) == [None]
    assert whose([A], {"response": {}}) == [None]
    assert whose([A], {"resource": {"resourceType": "Goal", "id": "1"}}) == [None]


@pytest.mark.parametrize("status", ["201", "201 Created", " 201 done", 201])
def test_a_status_is_read_whatever_stands_around_it(status: Any) -> None:
    part = made("1", "a")
    assert whose([A], {**part, "response": {**part["response"], "status": status}}) == ["1"]


@pytest.mark.parametrize(
    "resource",
    [
        NOT_VALID,
        {"id": "1"},
        {"resourceType": "Goal"},
        {"resourceType": ["Goal"], "id": "1"},
        {"resourceType": "Goal", "id": 1},
        {"resourceType": "Goal", "id": "2"},
        "Goal/1",
        None,
    ],
)
def test_what_stands_beside_an_answer_and_is_not_the_resource_is_left_out(resource: Any) -> None:
    (outcome,) = answers([A], {"entry": [{**silent("1"), "resource": resource}]})
    assert outcome == Answered(201, body=None, version="1", address=Address("Goal", "1", "1"))


@pytest.mark.parametrize("system", [None, 5, ["x"], {"x": 1}])
def test_an_identifier_of_no_form_names_nothing(system: Any) -> None:
    body = {"resourceType": "Goal", "id": "1", "identifier": [{"system": system, "value": "a"}]}
    assert whose([A], {**silent("1"), "resource": body}) == [None]


def test_the_version_is_the_resources_own_before_what_stands_around_it() -> None:
    part = made("1", "a")
    shown = {**part["resource"], "meta": {"versionId": "7"}}
    versions = [
        outcome.version
        for outcome in answers(
            [A, B, C], {"entry": [{**part, "resource": shown}, silent("2", version="3"), without_etag()]}
        )
        if isinstance(outcome, Answered)
    ]
    assert versions == ["7", "3", "5"]


def without_etag() -> Tree:
    return {"response": {"status": "201", "location": "Goal/3/_history/5"}}


def test_a_refusal_carries_its_outcome_and_nothing_else() -> None:
    (refused, bare) = answers([A, B], {"entry": [failed(), {"response": {"status": "409"}}]})
    assert refused == Refused(422, outcome=NOT_VALID, in_bundle=True)
    assert bare == Refused(409, in_bundle=True)


def test_each_entry_is_asked_in_the_way_that_its_record_needs() -> None:
    conditional = Entry(record_id="r", tree={"resourceType": "Goal"}, name=("urn:s", "a|b"), conditional=True)
    bundle = request("transaction", [A, changed("9"), conditional])
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert [entry["request"] for entry in bundle["entry"]] == [
        {"method": "POST", "url": "Goal"},
        {"method": "PUT", "url": "Goal/9", "ifMatch": 'W/"1"'},
        {"method": "POST", "url": "Goal", "ifNoneExist": "identifier=urn%3As%7Ca%5C%7Cb"},
    ]
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [
        placeholder(one.record_id) for one in (A, changed("9"), conditional)
    ]


def test_placeholders_differ_and_stay() -> None:
    assert placeholder("a") == placeholder("a") != placeholder("b")
