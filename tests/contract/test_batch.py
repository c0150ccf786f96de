"""Batches: each entry for itself."""

from tests.contract.server import Server, address, assert_refused, entry, identifier, placeholder


def test_each_entry_is_answered_for_itself(server: Server) -> None:
    known = server.made(server.goal())
    server.put({**known, "description": {"text": "second"}})

    answer = server.bundle(
        "batch",
        entry("POST", "Goal", server.goal()),
        entry("POST", "Goal", server.goal(subject={"reference": "Patient/not-there"})),
        entry("PUT", address(known)[1:], {**known, "description": {"text": "third"}}, ifMatch='W/"1"'),
        entry("PUT", address(known)[1:], {**known, "description": {"text": "third"}}, ifMatch='W/"2"'),
        entry("GET", "Goal/not-there"),
        entry("GET", "Goal?wish=1"),
        entry("DELETE", f"Patient/{server.patient_id}"),
    ).json()

    assert answer["type"] == "batch-response"
    responses = [item["response"] for item in answer["entry"]]
    assert [response["status"][:3] for response in responses] == [
        "201",
        "400",
        "409",
        "200",
        "404",
        "400",
        "409",
    ]
    assert (responses[0]["etag"], responses[3]["etag"]) == ("1", "3")
    for response in responses:
        if response["status"] >= "400":
            assert response["outcome"]["issue"][0]["severity"] == "error"
            assert "location" not in response


def test_one_bad_entry_stops_no_other(server: Server) -> None:
    goal = server.goal()
    wrong = entry("POST", "Goal", server.goal(subject={"reference": "Patient/not-there"}))

    server.bundle("batch", wrong, entry("POST", "Goal", goal))

    assert len(server.found(f"/Goal?identifier={identifier(goal)}")) == 1


def test_one_entry_that_cannot_be_read_stops_all(server: Server) -> None:
    """The body is parsed as one: a client that batches has to split it to find the culprit."""
    goal = server.goal()
    unreadable = entry("POST", "Goal", server.goal(lifecycleStatus="nonsense"))

    assert_refused(server.bundle("batch", entry("POST", "Goal", goal), unreadable), 400)
    assert server.found(f"/Goal?identifier={identifier(goal)}") == []


def test_two_entries_with_one_condition_store_one_resource(server: Server) -> None:
    goal = server.goal()
    create = entry("POST", "Goal", goal, ifNoneExist=f"identifier={identifier(goal)}")

    answer = server.bundle("batch", create, create).json()

    assert [item["response"]["status"][:3] for item in answer["entry"]] == ["201", "200"]
    assert len(server.found(f"/Goal?identifier={identifier(goal)}")) == 1


def test_entries_do_not_know_each_others_placeholders(server: Server) -> None:
    goal = placeholder()

    answer = server.bundle(
        "batch",
        entry("POST", "Goal", server.goal(), goal),
        entry("POST", "CarePlan", server.plan(goal=[{"reference": goal}])),
    ).json()

    assert [item["response"]["status"][:3] for item in answer["entry"]] == ["201", "400"]
