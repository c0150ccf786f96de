"""What happens at the same moment happens one after the other."""

import dataclasses
from typing import Any

from fhir_mappings.resources.goal import GOAL
from service.chart import Chart
from service.chart.queries import RecordQuery
from service.errors import Conflict, VersionConflict
from service.store import idempotency
from service.store.database import Database
from service.store.idempotency import Answer, Key
from tests import builders
from tests.clock import START, Clock
from tests.concurrency import TIMES, at_once
from tests.databases import connect, outbox, patient


def test_of_edits_to_the_same_version_exactly_one_wins(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    record = GOAL.read(entry.tree)

    def edit(number: int) -> Any:
        return chart.edit(entry.id, dataclasses.replace(record, statement=str(number)), "jo", if_version=1)

    results = at_once(edit)
    losers = [one for one in results if isinstance(one, VersionConflict)]
    assert len(losers) == TIMES - 1
    assert len(chart.history("Goal", entry.id)) == 2


def test_edits_that_name_no_version_all_count(chart: Chart, database: Database) -> None:
    clinic = connect(database)
    entry = chart.create(builders.goal(patient(chart)), "nurse")

    def edit(number: int) -> Any:
        return chart.replace(entry.id, {**entry.tree, "statusReason": str(number)}, "jo").version

    assert sorted(at_once(edit)) == list(range(2, TIMES + 2))
    assert outbox(database)[entry.id, clinic].generation == TIMES + 1


def test_a_writer_that_reads_first_waits_for_the_one_before(database: Database, chart: Chart) -> None:
    person = patient(chart)

    def read_then_write(_: int) -> Any:
        with database.begin() as session:
            chart.find_patient(builders.CLINIC, "1")
            session.connection().exec_driver_sql("SELECT count(*) FROM records")
            return chart.create(builders.goal(person), "nurse", session=session).version

    assert at_once(read_then_write) == [1] * TIMES


def test_a_person_who_is_registered_twice_at_once_is_one(chart: Chart) -> None:
    results = at_once(lambda number: patient(chart))
    assert len(set(results)) == 1
    assert chart.patients().total == 1


def test_one_id_is_given_once(chart: Chart) -> None:
    person = patient(chart)
    results = at_once(lambda _: chart.create(builders.goal(person), "nurse", record_id="g"))
    assert sum(isinstance(one, Conflict) for one in results) == TIMES - 1
    assert chart.find(RecordQuery(resource_type="Goal")).total == 1


def test_a_questionnaire_that_is_sent_twice_at_once_is_kept_once(chart: Chart) -> None:
    at_once(lambda _: chart.create(builders.questionnaire(), "nurse"))
    assert chart.find(RecordQuery(resource_type="Questionnaire")).total == 1


def test_a_create_that_is_repeated_at_once_with_its_key_happens_once(
    chart: Chart, database: Database
) -> None:
    person = patient(chart)
    key = Key(principal="nurse", route="goals", key="k", request_hash="hash")

    def create(_: int) -> Answer:
        with database.begin() as session:
            known = idempotency.begin(session, key, START)
            if known is not None:
                return known
            entry = chart.create(builders.goal(person), "nurse", session=session)
            answer = Answer(201, entry.text, {"ETag": 'W/"1"'})
            idempotency.finish(session, key, answer)
            return answer

    answers = at_once(create)
    assert answers == [answers[0]] * TIMES
    assert chart.find(RecordQuery(resource_type="Goal")).total == 1


def test_two_processes_are_as_separate_as_two_threads(database: Database, clock: Clock) -> None:
    other = Database(database.url.render_as_string(hide_password=False))
    one, two = Chart(database, clock), Chart(other, clock)
    entry = one.create(builders.goal(patient(one)), "nurse")
    two.replace(entry.id, {**entry.tree, "statusReason": "Knee"}, "jo", if_version=1)
    assert one.get("Goal", entry.id).version == 2
    other.close()
