"""Read, create, update: statuses, versions and headers."""

from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.contract.server import Server, address, assert_refused, unique, version_of, without


def test_a_created_resource_comes_back_with_id_version_and_location(server: Server) -> None:
    response = server.post(server.goal())

    assert response.status_code == 201
    created = response.json()
    assert version_of(response) == created["meta"]["versionId"] == "1"
    assert response.headers["Location"] == f"{server.base}{address(created)}/_history/1"
    assert isinstance(parsedate_to_datetime(response.headers["Last-Modified"]), datetime)


def test_what_was_created_can_be_read_as_it_was_answered(server: Server) -> None:
    created = server.made(server.goal())

    response = server.get(address(created))

    assert response.status_code == 200
    assert response.json() == created
    assert version_of(response) == "1"


def test_an_id_in_the_body_of_a_create_is_not_used(server: Server) -> None:
    wished = f"mine-{unique()[:20]}"

    assert server.made({**server.goal(), "id": wished})["id"] != wished


def test_the_version_time_and_source_are_the_servers(server: Server) -> None:
    meta = {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "source": "http://example.org/us"}

    stored = server.made(server.goal(meta=meta))["meta"]

    assert stored["versionId"] == "1"
    assert not stored["lastUpdated"].startswith("2001")
    assert stored["source"].startswith("http://example.org/us#")


@pytest.mark.parametrize(
    ("prefer", "resource_type"),
    [
        ("return=representation", "Goal"),
        ("return=OperationOutcome", "OperationOutcome"),
    ],
)
def test_prefer_chooses_the_body_of_an_answer(server: Server, prefer: str, resource_type: str) -> None:
    assert server.post(server.goal(), Prefer=prefer).json()["resourceType"] == resource_type


def test_prefer_minimal_leaves_version_and_place_in_the_headers(server: Server) -> None:
    response = server.post(server.goal(), Prefer="return=minimal")

    assert response.status_code == 201
    assert response.content == b""
    assert version_of(response) == "1"
    assert response.headers["Location"].endswith("/_history/1")


def test_an_update_makes_the_next_version(server: Server) -> None:
    created = server.made(server.goal())

    response = server.put({**created, "description": {"text": "Walk further"}}, If_Match='W/"1"')

    assert response.status_code == 200
    assert version_of(response) == response.json()["meta"]["versionId"] == "2"
    assert server.get(address(created)).json()["description"] == {"text": "Walk further"}


def test_an_identical_update_keeps_the_version(server: Server) -> None:
    created = server.made(server.goal())

    response = server.put(created)

    assert response.status_code == 200
    assert version_of(response) == "1"
    assert server.get(address(created)).json()["meta"]["lastUpdated"] == created["meta"]["lastUpdated"]


def test_a_changed_number_text_is_a_change(server: Server) -> None:
    text = '{"resourceType":"Goal","id":"%s","target":[{"detailQuantity":{"value":%s}}]}'
    name = f"mine-{unique()[:20]}"

    first = server.request("PUT", f"/Goal/{name}", text % (name, "7.5"))
    second = server.request("PUT", f"/Goal/{name}", text % (name, "7.50"))

    assert (first.status_code, second.status_code) == (201, 200)
    assert version_of(second) == "2"


def test_an_update_of_a_stale_version_conflicts_and_changes_nothing(server: Server) -> None:
    created = server.made(server.goal())
    server.put({**created, "description": {"text": "theirs"}})

    response = server.put({**created, "description": {"text": "ours"}}, If_Match='W/"1"')

    assert_refused(response, 409)
    assert server.get(address(created)).json()["description"] == {"text": "theirs"}


def test_a_stale_update_conflicts_even_if_it_would_change_nothing(server: Server) -> None:
    created = server.made(server.goal())
    current = server.put({**created, "description": {"text": "theirs"}}).json()

    assert_refused(server.put(current, If_Match='W/"1"'), 409)


@pytest.mark.parametrize("if_match", ["*", "what is this", 'W/"1", W/"2"'])
def test_an_if_match_that_names_no_version_is_not_obeyed(server: Server, if_match: str) -> None:
    created = server.made(server.goal())

    response = server.put({**created, "description": {"text": "ours"}}, If_Match=if_match)

    assert response.status_code >= 400
    assert server.get(address(created)).json() == created


def test_an_update_under_a_new_id_creates(server: Server) -> None:
    mine = {**server.goal(), "id": f"mine-{unique()[:20]}"}

    response = server.put(mine)

    assert response.status_code == 201
    assert response.headers["Content-Location"] == f"{server.base}{address(mine)}/_history/1"
    assert server.get(address(mine)).status_code == 200


def test_if_match_does_not_keep_an_update_from_creating(server: Server) -> None:
    mine = {**server.goal(), "id": f"mine-{unique()[:20]}"}

    assert server.put(mine, If_Match='W/"1"').status_code == 201


def test_a_client_may_not_choose_a_number_as_id(server: Server) -> None:
    assert_refused(server.put({**server.goal(), "id": "99999999999"}), 400)


@pytest.mark.parametrize("body_id", [None, "another"])
def test_the_id_in_the_body_of_an_update_must_be_the_one_in_the_url(
    server: Server, body_id: str | None
) -> None:
    created = server.made(server.goal())
    body = without(created, "id") if body_id is None else {**created, "id": body_id}

    assert_refused(server.request("PUT", address(created), body), 400)


def test_an_update_keeps_tags_and_labels_but_not_profiles(server: Server) -> None:
    tag, label = {"system": "urn:test", "code": "t"}, {"system": "urn:test", "code": "s"}
    meta = {"profile": ["http://example.org/profile"], "tag": [tag], "security": [label]}
    created = server.made(server.goal(meta=meta))

    updated = server.put(without({**created, "description": {"text": "other"}}, "meta")).json()["meta"]

    assert (updated["tag"], updated["security"]) == ([tag], [label])
    assert "profile" not in updated


def test_an_update_only_ever_adds_tags(server: Server) -> None:
    first, second = {"system": "urn:test", "code": "first"}, {"system": "urn:test", "code": "second"}
    created = server.made(server.goal(meta={"tag": [first]}))

    updated = server.put({**created, "description": {"text": "other"}, "meta": {"tag": [second]}}).json()

    assert sorted(tag["code"] for tag in updated["meta"]["tag"]) == ["first", "second"]


def test_each_version_can_be_read(server: Server) -> None:
    created = server.made(server.goal())
    server.put({**created, "description": {"text": "second"}})

    first, second = (server.get(f"{address(created)}/_history/{number}") for number in (1, 2))

    assert first.json() == created
    assert (version_of(second), second.json()["description"]) == ("2", {"text": "second"})


@pytest.mark.parametrize(
    "path", ["/Goal/not-there", "/Goal/not-there/_history", "/Goal/not-there/_history/1"]
)
def test_what_was_never_there_is_not_found(server: Server, path: str) -> None:
    assert_refused(server.get(path), 404)


def test_a_version_that_was_never_there_is_not_found(server: Server) -> None:
    assert_refused(server.get(f"{address(server.made(server.goal()))}/_history/7"), 404)


def test_an_unchanged_resource_need_not_be_sent_again(server: Server) -> None:
    response = server.get(address(server.made(server.goal())), If_None_Match='W/"1"')

    assert (response.status_code, response.content) == (304, b"")


def test_an_unknown_type_is_not_found(server: Server) -> None:
    assert_refused(server.get("/Wish"), 404)
    assert_refused(server.request("POST", "/Wish", {"resourceType": "Wish"}), 404)


@pytest.mark.parametrize("path", ["", "/Goal/1/children"])
def test_a_url_that_means_nothing_is_a_bad_request(server: Server, path: str) -> None:
    assert_refused(server.get(path), 400)


@pytest.mark.parametrize("query", ["_format=json", "_format=application/fhir%2Bjson", "_pretty=true"])
def test_the_form_of_the_answer_may_be_asked_for(server: Server, query: str) -> None:
    created = server.made(server.goal())

    assert server.get(f"{address(created)}?{query}").json() == created
