"""A search for many values, in pieces that the server takes; one that is refused says nothing of others."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from service.fhir_client.outcomes import Cause, Failure, Found, Refused, Unknown
from service.fhir_client.search import MOST_CHARACTERS, MOST_REFUSED, MOST_VALUES, Pieces

Answer = Callable[[list[str]], Found | Failure]


class Server:
    """Answers by the values that it is asked for, and remembers them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[list[str]] = []

    def pages(self, params: Mapping[str, str]) -> Iterator[Found | Failure]:
        values = params["identifier"].split(",")
        self.asked.append(values)
        yield self._answer(values)


def shown(values: list[str]) -> Found:
    return Found([{"resourceType": "Goal", "id": value} for value in values])


def at_most(count: int, status: int = 400) -> Answer:
    return lambda values: shown(values) if len(values) <= count else Refused(status)


def answers(server: Server, values: list[str], pieces: Pieces | None = None) -> dict[str, Found | Failure]:
    """Return the last that came for each value."""
    pieces = pieces or Pieces(server.pages, "identifier")
    return {value: page for part, page in pieces.ask(values, {}) for value in part}


VALUES = [f"v{number}" for number in range(60)]


def test_many_values_are_few_requests() -> None:
    server = Server(shown)
    assert answers(server, VALUES).keys() == set(VALUES)
    assert [len(values) for values in server.asked] == [25, 25, 10]


@pytest.mark.parametrize("most", [1, 2, 7, 24])
@pytest.mark.parametrize("status", [400, 403, 413, 414, 422, 431])
def test_a_server_that_takes_fewer_is_asked_for_fewer(most: int, status: int) -> None:
    server = Server(at_most(most, status))
    found = answers(server, VALUES)
    assert found.keys() == set(VALUES)
    assert all(isinstance(page, Found) for page in found.values())


NO_BUNDLE = [
    Refused(200, outcome={"resourceType": "OperationOutcome"}),
    Refused(202, outcome={"resourceType": "OperationOutcome"}),
    Unknown(Cause.OTHER_RESOURCE, ""),
]


@pytest.mark.parametrize("answer", NO_BUNDLE)
def test_a_value_that_brings_no_bundle_says_nothing_of_the_others(answer: Failure) -> None:
    server = Server(lambda values: answer if "v30" in values else shown(values))
    found = answers(server, VALUES)
    assert found.pop("v30") == answer
    assert all(isinstance(page, Found) for page in found.values())


@pytest.mark.parametrize("answer", NO_BUNDLE)
def test_where_no_value_brings_a_bundle_few_are_asked_for(answer: Failure) -> None:
    server = Server(lambda values: answer)
    assert all(page == answer for page in answers(server, VALUES).values())
    assert sum(len(values) == 1 for values in server.asked) == MOST_REFUSED


def test_how_many_it_takes_is_learned_once() -> None:
    server = Server(at_most(3))
    pieces = Pieces(server.pages, "identifier")
    answers(server, VALUES[:25], pieces)
    learned = len(server.asked)
    answers(server, VALUES[25:], pieces)
    assert all(len(values) <= 3 for values in server.asked[learned:])


def test_a_value_that_is_refused_says_nothing_of_the_others() -> None:
    server = Server(lambda values: Refused(422) if "v30" in values else shown(values))
    found = answers(server, VALUES)
    assert found.pop("v30") == Refused(422)
    assert all(isinstance(page, Found) for page in found.values())
    # What was at fault was not their number.
    assert [len(values) for values in server.asked[-1:]] == [10]


def test_a_search_that_is_refused_as_such_is_not_tried_with_every_value() -> None:
    server = Server(lambda values: Refused(400))
    pieces = Pieces(server.pages, "identifier")
    assert set(answers(server, VALUES, pieces).values()) == {Refused(400)}
    assert len(server.asked) <= 5 + 2 * MOST_REFUSED
    tried = len(server.asked)
    assert answers(server, VALUES, pieces).keys() == set(VALUES)
    assert len(server.asked) == tried


@pytest.mark.parametrize("status", [405, 501])
def test_a_search_that_is_not_offered_is_asked_for_once(status: int) -> None:
    refusal = Refused(status, outcome={"resourceType": "OperationOutcome"})
    server = Server(lambda values: refusal)
    pieces = Pieces(server.pages, "identifier")
    for _ in range(3):
        assert all(page == refusal for page in answers(server, VALUES, pieces).values())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "failure", [Unknown(Cause.TIMEOUT, ""), Refused(401), Refused(503), Refused(404), Refused(405)]
)
def test_what_is_not_about_the_values_ends_the_asking(failure: Failure) -> None:
    server = Server(lambda values: failure if "v30" in values else shown(values))
    found = answers(server, VALUES)
    assert [isinstance(found[value], Found) for value in VALUES] == [True] * 25 + [False] * 35
    assert len(server.asked) == 2


def test_a_failure_in_the_middle_of_halves_leaves_no_value_without_a_word() -> None:
    server = Server(
        lambda values: (
            Unknown(Cause.DROPPED, "") if "v9" in values and len(values) < 9 else at_most(8)(values)
        )
    )
    assert answers(server, VALUES).keys() == set(VALUES)


def test_long_values_are_asked_for_in_shorter_lists() -> None:
    server = Server(shown)
    long = [f"urn:long:{'x' * 900}|{number}" for number in range(20)]
    assert answers(server, long).keys() == set(long)
    assert all(len(",".join(values)) <= MOST_CHARACTERS for values in server.asked)
    assert answers(server, ["y" * 2 * MOST_CHARACTERS]).keys() == {"y" * 2 * MOST_CHARACTERS}


def test_the_same_value_is_asked_for_once() -> None:
    server = Server(shown)
    answers(server, ["v1", "v2", "v1"])
    assert server.asked == [["v1", "v2"]]


def test_nothing_is_asked_for_nothing() -> None:
    server = Server(shown)
    assert answers(server, []) == {}
    assert server.asked == []
    assert len(VALUES) > MOST_VALUES
