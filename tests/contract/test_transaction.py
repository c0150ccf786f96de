"""Transactions: all or nothing."""

import pytest

from tests.contract.server import (
    GOALS,
    PATIENTS,
    Server,
    Tree,
    address,
    assert_refused,
    entry,
    identifier,
    placeholder,
    unique,
    without,
)

WHOLE = "return=representation"


def responses(answer: Tree) -> list[Tree]:
    return [item["response"] for item in answer["entry"]]


def test_each_entry_is_answered_in_order_with_place_and_bare_etag(server: Server) -> None:
    response = server.bundle(
        "transaction", entry("POST", "CarePlan", server.plan()), entry("POST", "Goal", server.goal())
    )

    assert response.status_code == 200
    answer = response.json()
    assert answer["type"] == "transaction-response"
    plan, goal = responses(answer)
    assert [plan["status"], goal["status"]] == ["201 Created", "201 Created"]
    assert [plan["etag"], goal["etag"]] == ["1", "1"]
    assert plan["location"].startswith("CarePlan/")
    assert goal["location"].startswith("Goal/")
    assert server.get(f"/{goal['location']}").json()["meta"]["lastUpdated"] == goal["lastModified"]
    assert "resource" not in answer["entry"][0]


def test_placeholders_become_references_but_not_in_a_narrative(server: Server) -> None:
    goal = placeholder()
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{goal}">goal</a></div>'
    plan = server.plan(goal=[{"reference": goal}], text={"status": "generated", "div": div})

    answer = server.bundle(
        "transaction",
        entry("POST", "CarePlan", plan, placeholder()),
        entry("POST", "Goal", server.goal(), goal),
        Prefer=WHOLE,
    ).json()

    stored, made = (item["resource"] for item in answer["entry"])
    assert stored["goal"] == [{"reference": f"Goal/{made['id']}"}]
    assert stored["text"]["div"] == div


def test_a_cycle_of_placeholders_is_stored(server: Server) -> None:
    one, other = placeholder(), placeholder()

    answer = server.bundle(
        "transaction",
        entry("POST", "CarePlan", server.plan(partOf=[{"reference": other}]), one),
        entry("POST", "CarePlan", server.plan(replaces=[{"reference": one}]), other),
        Prefer=WHOLE,
    ).json()

    first, second = (item["resource"] for item in answer["entry"])
    assert first["partOf"] == [{"reference": f"CarePlan/{second['id']}"}]
    assert second["replaces"] == [{"reference": f"CarePlan/{first['id']}"}]


@pytest.mark.parametrize(
    "bad", ["missing reference", "unknown code", "stale", "unknown placeholder", "no request"]
)
def test_one_bad_entry_stores_nothing(server: Server, bad: str) -> None:
    goal, known = server.goal(), server.made(server.goal())
    server.put({**known, "description": {"text": "second"}})
    status, wrong = {
        "missing reference": (
            400,
            entry("POST", "Goal", server.goal(subject={"reference": "Patient/not-there"})),
        ),
        "unknown code": (400, entry("POST", "Goal", server.goal(lifecycleStatus="nonsense"))),
        "stale": (409, entry("PUT", address(known)[1:], {**known, "note": [{"text": "x"}]}, ifMatch='W/"1"')),
        "unknown placeholder": (
            400,
            entry("POST", "CarePlan", server.plan(goal=[{"reference": placeholder()}])),
        ),
        "no request": (400, {"resource": server.goal()}),
    }[bad]

    assert_refused(server.bundle("transaction", entry("POST", "Goal", goal), wrong), status)

    assert server.found(f"/Goal?identifier={identifier(goal)}") == []


def test_an_update_that_failed_with_others_is_taken_back(server: Server) -> None:
    goal = server.made(server.goal())
    update = entry("PUT", address(goal)[1:], {**goal, "description": {"text": "second"}})
    wrong = entry("POST", "Goal", server.goal(subject={"reference": "Patient/not-there"}))

    assert_refused(server.bundle("transaction", update, wrong), 400)

    assert server.get(address(goal)).json() == goal
    assert server.search(f"{address(goal)}/_history")["total"] == 1


def test_if_match_guards_an_update(server: Server) -> None:
    goal = server.made(server.goal())
    changed = {**goal, "description": {"text": "second"}}

    [response] = responses(
        server.bundle("transaction", entry("PUT", address(goal)[1:], changed, ifMatch='W/"1"')).json()
    )

    assert (response["status"], response["etag"]) == ("200 OK", "2")
    assert response["location"] == f"{address(goal)[1:]}/_history/2"


def test_an_identical_update_keeps_the_version(server: Server) -> None:
    goal = server.made(server.goal())

    [response] = responses(server.bundle("transaction", entry("PUT", address(goal)[1:], goal)).json())

    assert (response["status"], response["etag"]) == ("200 OK", "1")


def test_a_conditional_create_that_matches_gives_the_resource_that_is_there(server: Server) -> None:
    goal = server.made(server.goal())
    wanted, condition = placeholder(), f"identifier={identifier(goal)}"

    answer = server.bundle(
        "transaction",
        entry("POST", "Goal", without(goal, "id", "meta"), wanted, ifNoneExist=condition),
        entry("POST", "CarePlan", server.plan(goal=[{"reference": wanted}])),
        Prefer=WHOLE,
    ).json()

    assert answer["entry"][0]["resource"] == goal
    assert (responses(answer)[0]["status"], responses(answer)[0]["location"]) == (
        "200 OK",
        f"{address(goal)[1:]}/_history/1",
    )
    assert answer["entry"][1]["resource"]["goal"] == [{"reference": address(goal)[1:]}]


def test_a_condition_with_several_matches_fails_all(server: Server) -> None:
    goal, other = server.goal(), server.goal()
    server.made(goal)
    server.made(goal)

    response = server.bundle(
        "transaction",
        entry("POST", "Goal", other),
        entry("POST", "Goal", goal, ifNoneExist=f"identifier={identifier(goal)}"),
    )

    assert_refused(response, 412)
    assert server.found(f"/Goal?identifier={identifier(other)}") == []


def test_a_condition_that_its_body_does_not_meet_fails(server: Server) -> None:
    wrong = entry("POST", "Goal", server.goal(), ifNoneExist=f"identifier={GOALS}|{unique()}")

    assert_refused(server.bundle("transaction", wrong), 412)


def test_two_entries_with_one_condition_become_one_and_one_answer(server: Server) -> None:
    goal = server.goal()
    condition = f"identifier={identifier(goal)}"
    one, other = placeholder(), placeholder()

    answer = server.bundle(
        "transaction",
        entry("POST", "Goal", goal, one, ifNoneExist=condition),
        entry("POST", "Goal", goal, other, ifNoneExist=condition),
        entry("POST", "CarePlan", server.plan(goal=[{"reference": one}, {"reference": other}])),
        Prefer=WHOLE,
    ).json()

    made, plan = (item["resource"] for item in answer["entry"])
    assert plan["goal"] == [{"reference": f"Goal/{made['id']}"}] * 2
    assert server.found(f"/Goal?{condition}") == [made["id"]]


def test_a_conditional_reference_is_resolved(server: Server) -> None:
    value = unique()
    patient = server.made({"resourceType": "Patient", "identifier": [{"system": PATIENTS, "value": value}]})
    goal = server.goal(subject={"reference": f"Patient?identifier={PATIENTS}|{value}"})

    answer = server.bundle("transaction", entry("POST", "Goal", goal), Prefer=WHOLE).json()

    assert answer["entry"][0]["resource"]["subject"] == {"reference": f"Patient/{patient['id']}"}


def test_a_conditional_reference_without_its_only_match_fails(server: Server) -> None:
    twice = server.goal()
    server.made(twice)
    server.made(twice)
    none = server.goal(subject={"reference": f"Patient?identifier={PATIENTS}|{unique()}"})
    several = server.plan(goal=[{"reference": f"Goal?identifier={identifier(twice)}"}])

    assert_refused(server.bundle("transaction", entry("POST", "Goal", none)), 404)
    assert_refused(server.bundle("transaction", entry("POST", "CarePlan", several)), 412)


def test_a_conditional_reference_does_not_see_an_entry_of_its_own_bundle(server: Server) -> None:
    goal = server.goal()
    plan = server.plan(goal=[{"reference": f"Goal?identifier={identifier(goal)}"}])

    assert_refused(
        server.bundle("transaction", entry("POST", "Goal", goal), entry("POST", "CarePlan", plan)), 404
    )
    assert server.found(f"/Goal?identifier={identifier(goal)}") == []


def test_an_update_may_create_and_be_referred_to(server: Server) -> None:
    name, wanted = f"mine-{unique()[:20]}", placeholder()

    answer = server.bundle(
        "transaction",
        entry("PUT", f"Goal/{name}", {**server.goal(), "id": name}, wanted),
        entry("POST", "CarePlan", server.plan(goal=[{"reference": wanted}, {"reference": f"Goal/{name}"}])),
        Prefer=WHOLE,
    ).json()

    assert responses(answer)[0]["location"] == f"Goal/{name}/_history/1"
    assert answer["entry"][1]["resource"]["goal"] == [{"reference": f"Goal/{name}"}] * 2


def test_a_conditional_update_is_created_and_referred_to(server: Server) -> None:
    goal, wanted = server.goal(), placeholder()

    answer = server.bundle(
        "transaction",
        entry("PUT", f"Goal?identifier={identifier(goal)}", goal, wanted),
        entry("POST", "CarePlan", server.plan(goal=[{"reference": wanted}])),
        Prefer=WHOLE,
    ).json()

    made, plan = (item["resource"] for item in answer["entry"])
    assert plan["goal"] == [{"reference": f"Goal/{made['id']}"}]


def test_what_refers_to_each_other_can_be_deleted_together(server: Server) -> None:
    goal = server.made(server.goal())
    plan = server.made(server.plan(goal=[{"reference": f"Goal/{goal['id']}"}]))

    answer = server.bundle(
        "transaction", entry("DELETE", address(goal)[1:]), entry("DELETE", address(plan)[1:])
    ).json()

    assert [response["status"][:3] for response in responses(answer)] == ["204", "204"]
    assert_refused(server.get(address(goal)), 410)


def test_the_same_resource_twice_is_refused(server: Server) -> None:
    goal, twice = server.made(server.goal()), placeholder()
    update = entry("PUT", address(goal)[1:], goal)

    assert_refused(server.bundle("transaction", update, update), 400)
    assert_refused(
        server.bundle(
            "transaction",
            entry("POST", "Goal", server.goal(), twice),
            entry("POST", "Goal", server.goal(), twice),
        ),
        400,
    )


def test_reads_are_answered_and_a_miss_fails_nothing(server: Server) -> None:
    goal = server.made(server.goal())

    answer = server.bundle(
        "transaction",
        entry("GET", address(goal)[1:]),
        entry("GET", f"Goal?identifier={identifier(goal)}"),
        entry("GET", "Goal/not-there"),
    ).json()

    read, found, missed = answer["entry"]
    assert read["resource"] == goal
    assert [item["resource"] for item in found["resource"]["entry"]] == [goal]
    assert missed["response"]["status"].startswith("404")
    assert missed["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_an_empty_transaction_is_answered(server: Server) -> None:
    answer = server.bundle("transaction").json()

    assert answer["type"] == "transaction-response"
    assert "entry" not in answer


@pytest.mark.parametrize("body", [{"resourceType": "Bundle", "type": "collection"}, {"resourceType": "Goal"}])
def test_only_batches_and_transactions_are_taken(server: Server, body: Tree) -> None:
    assert_refused(server.request("POST", "", body), 400)
