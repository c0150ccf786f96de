"""The issuer's keys: how often it is asked, who waits for it, and that nobody else does."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, KeySet

from service.auth import KeySource
from service.errors import Unavailable
from tests.clock import Clock

URL = "https://issuer.example/keys"
OLD, NEW = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))


class Issuer:
    """Publishes keys, or is away; counts how often it was asked."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys = keys
        self.asked = 0

    def __call__(self, url: str) -> Any:
        assert url == URL
        self.asked += 1
        if not self.keys:
            raise OSError("away")
        return KeySet(list(self.keys)).as_dict()


class Later:
    """Runs what is done in the background when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def now(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def at_once(work: Callable[[], None]) -> None:
    work()


def ids(keys: KeySet) -> list[str | None]:
    return [key.kid for key in keys]


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(OLD)


@pytest.fixture
def source(issuer: Issuer, clock: Clock) -> KeySource:
    return KeySource(URL, issuer, clock, run=at_once)


def test_the_keys_are_fetched_once_for_many(source: KeySource, issuer: Issuer) -> None:
    for _ in range(5):
        assert ids(source.keys()) == ["old"]
    assert issuer.asked == 1


def test_a_new_key_is_found_and_invented_ones_do_not_make_us_ask_again(
    source: KeySource, issuer: Issuer, clock: Clock
) -> None:
    source.keys()
    issuer.keys = (NEW,)
    clock.advance(seconds=31)
    for _ in range(5):
        assert ids(source.newer_keys()) == ["new"]
    assert issuer.asked == 2


def test_old_keys_serve_while_newer_ones_are_on_their_way_and_end_when_those_are_here(
    issuer: Issuer, clock: Clock
) -> None:
    later = Later()
    source = KeySource(URL, issuer, clock, run=later)
    source.refresh()
    later.now()
    issuer.keys = (NEW,)
    clock.advance(seconds=3600)
    for _ in range(5):
        assert ids(source.keys()) == ["old"]
    assert len(later.waiting) == 1
    later.now()
    assert ids(source.keys()) == ["new"]


def test_a_slow_issuer_is_waited_for_by_the_one_who_asked_and_by_nobody_else(
    issuer: Issuer, clock: Clock
) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def slow(url: str) -> Any:
        is_asked.set()
        assert may_answer.wait(60)
        return issuer(url)

    source = KeySource(URL, _first_then(issuer, slow), clock)
    source.keys()
    clock.advance(seconds=300)
    asking = threading.Thread(target=source.newer_keys)
    asking.start()
    assert is_asked.wait(60)
    for _ in range(20):
        assert ids(source.keys()) == ["old"]
        with pytest.raises(Unavailable):
            source.newer_keys()
    assert asking.is_alive()
    may_answer.set()
    asking.join(60)
    assert not asking.is_alive()


def _first_then(first: Callable[[str], Any], then: Callable[[str], Any]) -> Callable[[str], Any]:
    asked = iter([first])
    return lambda url: next(asked, then)(url)


def test_many_who_need_the_keys_at_once_make_one_fetch(issuer: Issuer, clock: Clock) -> None:
    later = Later()
    source = KeySource(URL, issuer, clock, run=later)
    source.refresh()
    for _ in range(20):
        with pytest.raises(Unavailable):
            source.keys()
        source.refresh()
    assert len(later.waiting) == 1


def test_while_the_issuer_is_away_its_keys_serve_for_a_day(
    source: KeySource, issuer: Issuer, clock: Clock
) -> None:
    source.keys()
    issuer.keys = ()
    clock.advance(seconds=23 * 3600)
    assert ids(source.keys()) == ["old"]
    clock.advance(seconds=3600)
    with pytest.raises(Unavailable):
        source.keys()


def test_an_issuer_that_is_away_is_not_asked_by_everyone(source: KeySource, issuer: Issuer) -> None:
    issuer.keys = ()
    for _ in range(5):
        with pytest.raises(Unavailable):
            source.keys()
    assert issuer.asked == 1


def test_a_clock_that_was_put_back_keeps_nobody_from_asking(
    source: KeySource, issuer: Issuer, clock: Clock
) -> None:
    source.keys()
    clock.advance(days=-400)
    issuer.keys = (NEW,)
    assert ids(source.newer_keys()) == ["new"]


@pytest.mark.parametrize(
    "other",
    [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, {"kty": "EC", "crv": "P-999"}, {"kid": "x"}, 7, None],
)
def test_a_key_of_an_unknown_kind_does_not_take_the_others_along(clock: Clock, other: Any) -> None:
    published = {"keys": [other, *KeySet([OLD]).as_dict()["keys"]]}
    assert ids(KeySource(URL, lambda url: published, clock, run=at_once).keys()) == ["old"]


@pytest.mark.parametrize("document", [{}, [], None, {"keys": 7}, "keys"])
def test_what_is_no_key_set_leaves_the_keys_at_hand(clock: Clock, issuer: Issuer, document: Any) -> None:
    source = KeySource(URL, _first_then(issuer, lambda url: document), clock, run=at_once)
    source.keys()
    clock.advance(seconds=7200)
    assert ids(source.keys()) == ["old"]
    assert ids(source.newer_keys()) == ["old"]
