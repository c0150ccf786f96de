"""Against a real server: killed at any moment, cut off after any commit, each record arrives once."""

import multiprocessing
import os
import random
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests.models import PreparedRequest, Response

from fhir_mappings.exact_json import Tree
from service.chart import Chart
from service.fhir_client.client import FHIRClient
from service.store.database import Database
from service.sync.engine import Sync
from tests.clock import Clock
from tests.service.sync.office import ACTOR, Office

#: Processes that die without a word; fork, because each has to start in no time.
FORK = multiprocessing.get_context("fork")


class Torn(requests.Session):
    """Loses every tenth answer after the server gave it, and may die in its place."""

    def __init__(self, rng: random.Random, dies_at: int | None) -> None:
        super().__init__()
        self._rng = rng
        self._dies_at = dies_at
        self._answers = 0

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        response = super().send(request, **kwargs)
        if request.method != "POST":
            return response
        response.content  # noqa: B018  the server has committed
        self._answers += 1
        if self._answers == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._rng.random() < 0.1:
            raise requests.ConnectionError("lost on the way")
        return response


def push(url: str, offset: timedelta, seed: int, dies_at: int | None) -> None:
    """One life of the pushing process."""

    def clock() -> datetime:
        return datetime.now(UTC) + offset

    database = Database(url)
    session = Torn(random.Random(seed), dies_at)
    sync = Sync(
        database,
        Chart(database, clock),
        lambda one: FHIRClient(one.base_url, session=session, timeout_seconds=60),
        clock,
        random.Random(seed),
        batch_size=20,
    )
    sync.push()


@pytest.fixture
def busy_office(database_url: str, hapi: str) -> Iterator[Office]:
    database = Database(database_url)
    database.upgrade()
    office = Office(database, hapi, Clock(datetime.now(UTC)))
    office.connect()
    yield office
    database.close()


def test_killed_at_any_moment_each_record_arrives_exactly_once(
    busy_office: Office, database_url: str
) -> None:
    office = busy_office
    is_sqlite = database_url.startswith("sqlite")
    count, kills = (500, 50) if is_sqlite else (60, 8)
    goals = [office.goal(f"goal {number}") for number in range(count)]
    plans = {office.plan(goal): goal for goal in goals}
    office.database.close()
    rng = random.Random(11)
    killed = lives = 0
    while office.states() != {"synced": 2 * count}:
        office.database.close()
        # Each life begins after the leases of the one before have run out.
        lives += 1
        dies_at = rng.randint(1, 2) if lives % 3 == 0 and killed < kills else None
        child = FORK.Process(target=push, args=(database_url, timedelta(hours=3 * lives), lives, dies_at))
        child.start()
        if dies_at is None and killed < kills:
            child.join(rng.uniform(0.02, 0.35))
            child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        assert lives < 4 * kills + 40, "it does not come to an end"
    assert killed >= kills
    _assert_exactly_once(office, goals, plans)


def test_what_a_killed_process_held_is_free_at_once(busy_office: Office, database_url: str) -> None:
    office = busy_office
    goals = [office.goal(f"goal {number}") for number in range(40)]
    office.database.close()
    child = FORK.Process(target=push, args=(database_url, timedelta(0), 1, 1))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    # Nobody waits for a lease to run out: no time has passed.
    office.sync.push()
    assert office.states() == {"synced": 40}
    _assert_exactly_once(office, goals, {})


def _assert_exactly_once(office: Office, goals: list[str], plans: dict[str, str]) -> None:
    rows, _ = office.sync.status(limit=10_000)
    there = {row.record_id: row.server_id for row in rows}
    copies = office.copies("Goal")
    assert sorted(_name(one) for one in copies) == sorted(goals)
    shared_plans = office.copies("CarePlan")
    assert sorted(_name(one) for one in shared_plans) == sorted(plans)
    for one in shared_plans:
        assert one["goal"] == [{"reference": f"Goal/{there[plans[_name(one)]]}"}]
    assert {one["id"] for one in copies + shared_plans} == set(there.values())


def _name(resource: Tree) -> str:
    (identifier,) = resource["identifier"]
    return str(identifier["value"])


def test_one_that_the_server_refuses_among_five_hundred(busy_office: Office) -> None:
    office = busy_office
    goals = [office.goal(f"goal {number}") for number in range(320)]
    nowhere = {"reference": f"{office.base_url}/ServiceRequest/{uuid.uuid4()}"}
    bad = office.activity(basedOn=[nowhere])
    goals += [office.goal(f"goal {number}") for number in range(320, 499)]
    office.sync.push()
    assert office.states() == {"synced": 499, "rejected": 1}
    status = office.status(bad)
    assert (status.reason, bool(status.next_step)) == ("refused", True)
    assert status.outcome is not None
    assert "HAPI-1094" in status.outcome["issue"][0]["diagnostics"]
    office.change("ServiceRequest", bad, basedOn=None)
    office.sync.push()
    assert office.states() == {"synced": 500}
    assert sorted(_name(one) for one in office.copies("Goal")) == sorted(goals)
    assert [_name(one) for one in office.copies("ServiceRequest")] == [bad]


def test_changes_on_both_sides_meet_on_a_real_server(busy_office: Office) -> None:
    office = busy_office
    apart, together = office.goal("walk"), office.goal("walk")
    office.sync.run()
    for goal in (apart, together):
        office.change("Goal", goal, description={"text": "run"})
    office.change_there("Goal", apart, note=[{"text": "theirs"}])
    office.change_there("Goal", together, description={"text": "swim"})
    office.sync.push()
    assert office.there("Goal", apart)["note"] == [{"text": "theirs"}]
    assert office.there("Goal", apart)["description"] == {"text": "run"}
    assert office.there("Goal", together)["description"] == {"text": "swim"}
    assert office.states() == {"synced": 1, "conflict": 1}
    (conflict,), _ = office.sync.conflicts()
    office.sync.resolve(conflict.id, "here", ACTOR)
    office.sync.run()
    assert office.there("Goal", together)["description"] == {"text": "run"}
    assert office.states() == {"synced": 2}


def test_two_of_the_same_identifier_are_told_apart_in_one_transaction(busy_office: Office) -> None:
    """A server makes one of two entries with the same condition, and answers with fewer than it was asked."""
    office = busy_office
    name = {"system": "urn:test:forms", "value": str(uuid.uuid4())}
    form = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:test:q|1"}
    twins = [office.create({**form, "identifier": name}) for _ in range(2)]
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    assert all(office.status(goal).state == "synced" for goal in goals)
    assert sorted(office.status(twin).state for twin in twins) == ["rejected", "synced"]
    assert {office.status(twin).reason for twin in twins} == {None, "identifier-taken"}
    assert len(office.copies("QuestionnaireResponse")) == 1
