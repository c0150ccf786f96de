"""Conditional create and update."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.server import GOALS, Server, address, assert_refused, identifier, unique, version_of


def test_a_conditional_create_makes_a_resource_once(server: Server) -> None:
    goal = server.goal()
    condition = f"identifier={identifier(goal)}"

    first = server.post(goal, If_None_Exist=condition)
    second = server.post({**goal, "description": {"text": "other"}}, If_None_Exist=condition)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert version_of(second) == "1"
    assert server.found(f"/Goal?{condition}") == [first.json()["id"]]


@pytest.mark.parametrize("form", ["identifier={}", "Goal?identifier={}"])
@pytest.mark.parametrize("bar", ["|", "%7C"])
def test_the_condition_may_be_written_in_several_ways(server: Server, form: str, bar: str) -> None:
    goal = server.goal()
    server.made(goal)

    response = server.post(goal, If_None_Exist=form.format(identifier(goal).replace("|", bar)))

    assert response.status_code == 200


def test_a_condition_with_several_matches_fails(server: Server) -> None:
    goal = server.goal()
    server.made(goal)
    server.made(goal)

    assert_refused(server.post(goal, If_None_Exist=f"identifier={identifier(goal)}"), 412)


def test_a_condition_that_the_body_does_not_meet_is_refused(server: Server) -> None:
    value = unique()

    assert_refused(server.post(server.goal(), If_None_Exist=f"identifier={GOALS}|{value}"), 400)
    assert server.found(f"/Goal?identifier={GOALS}|{value}") == []


def test_a_condition_with_an_unknown_parameter_is_refused(server: Server) -> None:
    assert_refused(server.post(server.goal(), If_None_Exist="wish=1"), 400)


def test_a_deleted_resource_meets_no_condition(server: Server) -> None:
    goal = server.goal()
    condition = f"identifier={identifier(goal)}"
    server.delete(server.post(goal, If_None_Exist=condition).json())

    assert server.post(goal, If_None_Exist=condition).status_code == 201


def test_many_conditional_creates_at_once_store_one_resource(server: Server) -> None:
    goal = server.goal()
    condition = f"identifier={identifier(goal)}"

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: server.post(goal, If_None_Exist=condition), range(8)))

    statuses = [response.status_code for response in responses]
    assert statuses.count(201) == 1
    # A caller that lost the race may be told to ask again.
    assert set(statuses) <= {200, 201, 409}
    assert len(server.found(f"/Goal?{condition}")) == 1
    assert server.post(goal, If_None_Exist=condition).status_code == 200


def test_of_many_updates_from_the_same_version_one_wins(server: Server) -> None:
    created = server.made(server.goal())

    def update(number: int) -> int:
        changed = {**created, "description": {"text": f"writer {number}"}}
        return server.put(changed, If_Match='W/"1"').status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(update, range(8)))

    assert sorted(statuses) == [200] + [409] * 7
    winner = statuses.index(200)
    current = server.get(address(created)).json()
    assert (current["meta"]["versionId"], current["description"]["text"]) == ("2", f"writer {winner}")


def test_a_conditional_update_creates_then_updates(server: Server) -> None:
    goal = server.goal()
    path = f"/Goal?identifier={identifier(goal)}"

    first = server.request("PUT", path, goal)
    second = server.request("PUT", path, {**goal, "description": {"text": "other"}})

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert version_of(second) == "2"


def test_a_conditional_update_with_several_matches_fails(server: Server) -> None:
    goal = server.goal()
    server.made(goal)
    server.made(goal)

    assert_refused(server.request("PUT", f"/Goal?identifier={identifier(goal)}", goal), 412)


def test_an_update_without_id_and_condition_is_refused(server: Server) -> None:
    assert_refused(server.request("PUT", "/Goal", server.goal()), 400)
