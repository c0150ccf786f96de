"""Results page by page."""

from collections.abc import Iterator

import pytest

from tests.contract.server import Server, Tree, assert_refused


def pages(server: Server, path: str) -> Iterator[Tree]:
    url: str | None = f"{server.base}{path}"
    while url:
        # The links stay on the server's own base URL, or a client must not follow them.
        assert url.startswith(server.base)
        page = server.search(url.removeprefix(server.base))
        yield page
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)


def ids(page: Tree) -> list[str]:
    return [entry["resource"]["id"] for entry in page.get("entry", [])]


@pytest.fixture
def five(server: Server) -> list[Tree]:
    return [server.made(server.goal()) for _ in range(5)]


def test_the_next_links_lead_through_all_results_once(server: Server, five: list[Tree]) -> None:
    read = [
        ids(page) for page in pages(server, f"/Goal?patient={server.patient_id}&_count=2&_sort=_lastUpdated")
    ]

    assert [len(page) for page in read] == [2, 2, 1]
    assert [found for page in read for found in page] == [goal["id"] for goal in five]


def test_the_total_is_right_wherever_it_is_told(server: Server, five: list[Tree]) -> None:
    """With a next page it may be missing; asked for, it may not."""
    path = f"/Goal?patient={server.patient_id}"

    assert server.search(path)["total"] == 5
    assert server.search(f"{path}&_count=2&_total=accurate")["total"] == 5
    assert {page.get("total", 5) for page in pages(server, f"{path}&_count=2")} == {5}


def test_a_change_between_pages_neither_repeats_nor_loses_the_others(
    server: Server, five: list[Tree]
) -> None:
    following = pages(server, f"/Goal?patient={server.patient_id}&_count=2&_sort=_lastUpdated")
    first = ids(next(following))
    server.delete(five[3])
    changed = server.put({**five[0], "description": {"text": "changed"}}).json()
    late = server.made(server.goal())

    rest = [found for page in following for found in ids(page)]

    assert first == [five[0]["id"], five[1]["id"]]
    assert rest == [five[2]["id"], five[4]["id"]]
    assert late["id"] not in rest
    assert changed["id"] not in rest


def test_a_page_shows_each_resource_as_it_is_by_then(server: Server, five: list[Tree]) -> None:
    following = pages(server, f"/Goal?patient={server.patient_id}&_count=4&_sort=_lastUpdated")
    next(following)
    server.put({**five[4], "description": {"text": "changed"}})

    [last] = next(following)["entry"]

    assert last["resource"]["description"] == {"text": "changed"}


def test_a_page_that_is_no_more_is_gone(server: Server) -> None:
    assert_refused(
        server.get("?_getpages=c0ffee00-0000-4000-8000-000000000000&_getpagesoffset=2&_count=2"), 410
    )
