"""The sandbox takes time with what it holds and what it is asked for, not with the one times the other."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from service.sandbox import bundles, resources
from service.sandbox.search import query
from service.sandbox.store import Store
from tests.clock import Clock
from tests.growth import Growth, Work, growths

RESOURCES = 500
Act = Callable[[], object]


def holding(trees: list[Tree]) -> Store:
    """A sandbox's store with resources, whose ids are given from 1000 on."""
    store = Store(Clock())
    with store.atomic():
        for tree in trees:
            resources.create(store, tree["resourceType"], tree)
    return store


def goals(size: int) -> list[Tree]:
    return [
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {"text": f"goal {number}"},
            "identifier": [{"system": "urn:s", "value": f"{number}"}],
        }
        for number in range(size)
    ]


def searched(store: Store, name: str, values: list[str]) -> Act:
    given = [(name, ",".join(values))]
    return lambda: query.find(store, query.parse("Goal", given))


def ids_asked_for(size: int) -> Act:
    return searched(holding(goals(size)), "_id", [f"{1000 + number}" for number in range(size)])


def ids_that_are_not_there(size: int) -> Act:
    return searched(holding(goals(size)), "_id", [f"none-{number}" for number in range(size)])


def identifiers_asked_for(size: int) -> Act:
    return searched(holding(goals(size)), "identifier", [f"urn:s|{number}" for number in range(size)])


def statuses_asked_for(size: int) -> Act:
    return searched(holding(goals(size)), "lifecycle-status", [f"status-{number}" for number in range(size)])


def patients_asked_for(size: int) -> Act:
    patients: list[Tree] = [{"resourceType": "Patient"}] * size
    theirs: list[Tree] = [
        {"resourceType": "Goal", "subject": {"reference": f"Patient/{1000 + number}"}}
        for number in range(size)
    ]
    return searched(holding(patients + theirs), "patient", [f"{1000 + number}" for number in range(size)])


def tags_that_an_update_adds(size: int) -> Act:
    def tagged(first: int) -> Tree:
        tags = [{"code": f"{number}"} for number in range(first, first + size)]
        return {"resourceType": "Goal", "id": "one", "meta": {"tag": tags}}

    store = Store(Clock())
    resources.update(store, ("Goal", "one"), tagged(0))
    return lambda: resources.update(store, ("Goal", "one"), tagged(size))


def transaction(entries: list[Tree]) -> Tree:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def deletions_in_one_transaction(size: int) -> Act:
    store = holding(goals(size))
    bundle = transaction(
        [{"request": {"method": "DELETE", "url": f"Goal/{1000 + number}"}} for number in range(size)]
    )
    return lambda: bundles.process(store, bundle, _nothing, representation=True)


def creations_that_refer_to_each_other(size: int) -> Act:
    store = Store(Clock())
    entries: list[Any] = [
        {
            "fullUrl": f"urn:uuid:{number}",
            "resource": {
                "resourceType": "CarePlan",
                "identifier": [{"system": "urn:s", "value": f"{number}"}],
                "partOf": [{"reference": f"urn:uuid:{(number * 7) % size}"}],
            },
            "request": {"method": "POST", "url": "CarePlan", "ifNoneExist": f"identifier=urn:s|{number}"},
        }
        for number in range(size)
    ]
    return lambda: bundles.process(store, transaction(entries), _nothing, representation=True)


def _nothing(_: str) -> Tree:
    return {}


WORKS: list[Work] = [
    ids_asked_for,
    ids_that_are_not_there,
    identifiers_asked_for,
    statuses_asked_for,
    patients_asked_for,
    tags_that_an_update_adds,
    deletions_in_one_transaction,
    creations_that_refer_to_each_other,
]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, RESOURCES) for work in WORKS])


@pytest.mark.parametrize("work", WORKS)
def test_time_grows_with_the_number_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]
