"""What changed, and since when."""

from urllib.parse import quote

from tests.contract.server import Server, address, assert_refused


def test_the_history_of_a_resource_is_newest_first(server: Server) -> None:
    goal = server.made(server.goal())
    server.put({**goal, "description": {"text": "second"}})
    server.delete(goal)

    history = server.search(f"{address(goal)}/_history")

    assert (history["type"], history["total"]) == ("history", 3)
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT", "POST"]
    assert [entry["response"]["etag"] for entry in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']
    assert [entry["fullUrl"] for entry in history["entry"]] == [f"{server.base}{address(goal)}"] * 3
    assert "resource" not in history["entry"][0]
    assert history["entry"][2]["resource"] == goal


def test_the_history_of_a_type_since_a_time_has_what_came_later_and_no_total(server: Server) -> None:
    before = server.made(server.goal())
    goal = server.made(server.goal())
    server.delete(before)
    since = quote(goal["meta"]["lastUpdated"])

    history = server.search(f"/Goal/_history?_since={since}&_count=50")

    seen = [entry["request"]["url"] for entry in history["entry"]]
    assert f"Goal/{goal['id']}/_history/1" in seen
    assert f"Goal/{before['id']}/_history/2" in seen
    assert f"Goal/{before['id']}/_history/1" not in seen
    assert "total" not in history


def test_an_empty_history_has_no_entry(server: Server) -> None:
    history = server.search("/Goal/_history?_since=2100-01-01T00:00:00Z")

    assert "entry" not in history
    assert "total" not in history


def test_a_since_that_is_no_time_is_refused(server: Server) -> None:
    assert_refused(server.get("/Goal/_history?_since=yesterday"), 400)


def test_a_history_comes_in_pages(server: Server) -> None:
    goal = server.made(server.goal())
    for number in range(2, 6):
        server.put({**goal, "description": {"text": f"version {number}"}})

    versions = []
    url: str | None = f"{server.base}{address(goal)}/_history?_count=2"
    while url:
        page = server.search(url.removeprefix(server.base))
        versions += [entry["resource"]["meta"]["versionId"] for entry in page.get("entry", [])]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)

    assert versions == ["5", "4", "3", "2", "1"]
