"""Changes are whole or not at all, also when many come at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.sandbox.outcomes import FHIRError
from service.sandbox.resources import create, read, update
from service.sandbox.store import Store
from tests.clock import Clock


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


def goal(text: str = "x") -> dict[str, object]:
    return {"resourceType": "Goal", "description": {"text": text}}


def test_a_failed_block_takes_back_all_that_it_wrote(store: Store) -> None:
    kept = create(store, "Goal", goal()).version
    assert kept is not None

    def write_then_fail() -> None:
        with store.atomic():
            update(store, ("Goal", kept.id), {**goal("changed"), "id": kept.id})
            update(store, ("Goal", kept.id), {**goal("again"), "id": kept.id})
            create(store, "Goal", goal())
            read(store, ("Goal", "not-there"))

    with pytest.raises(FHIRError):
        write_then_fail()

    assert store.all_living() == [kept]
    assert store.log() == [kept]


def test_a_failure_within_a_block_that_goes_on_undoes_nothing_else(store: Store) -> None:
    with store.atomic():
        create(store, "Goal", goal())
        with pytest.raises(FHIRError):
            update(store, ("Goal", "1"), goal())

    assert len(store.all_living()) == 1


def test_many_writers_lose_nothing(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {
            done.version.id
            for done in pool.map(lambda _: create(store, "Goal", goal()), range(200))
            if done.version
        }

    assert len(ids) == 200
    assert {version.id for version in store.all_living("Goal")} == ids
    assert len({version.order for version in store.log()}) == 200


def test_nobody_writes_while_another_is_at_it(store: Store) -> None:
    other = threading.Thread(target=create, args=(store, "Goal", goal()))

    with store.atomic():
        other.start()
        other.join(timeout=0.1)
        assert store.all_living() == []

    other.join()
    assert len(store.all_living()) == 1
