"""Delete, and what is left of a resource."""

from tests.contract.server import Server, address, assert_refused, identifier


def test_a_deleted_resource_is_gone_but_its_versions_are_not(server: Server) -> None:
    goal = server.made(server.goal())

    assert server.delete(goal).status_code == 200

    assert_refused(server.get(address(goal)), 410)
    assert server.get(f"{address(goal)}/_history/1").json() == goal
    assert_refused(server.get(f"{address(goal)}/_history/2"), 410)
    assert server.found(f"/Goal?identifier={identifier(goal)}") == []


def test_deleting_again_or_what_never_was_is_fine(server: Server) -> None:
    goal = server.made(server.goal())
    server.delete(goal)

    assert server.delete(goal).status_code == 200
    assert server.request("DELETE", "/Goal/never-was").status_code == 200


def test_delete_does_not_look_at_if_match(server: Server) -> None:
    goal = server.made(server.goal())

    assert server.delete(goal, If_Match='W/"9"').status_code == 200
    assert_refused(server.get(address(goal)), 410)


def test_what_others_refer_to_cannot_be_deleted(server: Server) -> None:
    goal = server.made(server.goal())
    plan = server.made(server.plan(goal=[{"reference": f"Goal/{goal['id']}"}]))

    assert_refused(server.delete(goal), 409)
    assert server.get(address(goal)).json() == goal

    server.delete(plan)
    assert server.delete(goal).status_code == 200


def test_an_update_revives_with_a_later_version(server: Server) -> None:
    goal = server.made(server.goal())
    server.delete(goal)

    assert_refused(server.put(goal, If_Match='W/"1"'), 409)
    response = server.put(goal)

    assert response.status_code == 201
    assert int(response.json()["meta"]["versionId"]) > 2
    assert server.get(address(goal)).status_code == 200


def test_a_conditional_delete_takes_the_only_match(server: Server) -> None:
    goal = server.made(server.goal())
    path = f"/Goal?identifier={identifier(goal)}"

    assert server.request("DELETE", path).status_code == 200
    assert_refused(server.get(address(goal)), 410)
    assert server.request("DELETE", path).status_code == 200
