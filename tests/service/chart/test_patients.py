"""Patients are who their identifiers say."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from service.chart import Chart, Patient, PatientRegister
from service.errors import Conflict, InvalidContent, InvalidInput, NotFound
from service.store.database import Database
from service.store.tables import OutboxRow, PatientLink, Watermark
from tests import builders
from tests.clock import Clock
from tests.databases import MOMENT, connect, contents, outbox, patient

ONE, TWO, THREE = (("urn:oid:1", "1"), ("urn:oid:1", "2"), ("urn:oid:3", "1"))
FOUR = ("urn:oid:3", "4")


def test_a_patient_is_found_by_any_identifier_and_gains_the_others(chart: Chart) -> None:
    first = chart.register_patient([ONE], "nurse")
    again = chart.register_patient([THREE, ONE, ONE], "nurse")
    assert again.id == first.id
    assert again.identifiers == (ONE, THREE)
    assert chart.find_patient(*THREE) == again == chart.patient(first.id)
    assert chart.find_patient(*TWO) is None


def test_identifiers_of_two_patients_are_refused_and_nothing_is_joined(chart: Chart) -> None:
    first, second = chart.register_patient([ONE], "nurse"), chart.register_patient([TWO], "nurse")
    with pytest.raises(Conflict, match="different patients"):
        chart.register_patient([ONE, TWO, THREE], "nurse")
    assert set(chart.patients().entries) == {first, second}
    assert chart.find_patient(*THREE) is None


@pytest.mark.parametrize(
    ("identifiers", "path"),
    [
        ([], "identifiers"),
        ([ONE, ("", "1")], "identifiers[1].system"),
        ([("urn:oid:1", "  ")], "identifiers[0].value"),
        ([("not a uri", "1")], "identifiers[0].system"),
        ([("urn:oid:1", "a\x00b")], "identifiers[0].value"),
        ([("urn:oid:1", "\ud800")], "identifiers[0].value"),
    ],
)
def test_an_identifier_that_is_none_is_refused(
    chart: Chart, identifiers: list[tuple[str, str]], path: str
) -> None:
    with pytest.raises(InvalidContent) as refusal:
        chart.register_patient(identifiers, "nurse")
    assert refusal.value.findings[0].path == path


def test_patients_come_page_by_page_in_the_order_of_registration(chart: Chart, clock: Clock) -> None:
    made = []
    for number in range(5):
        made.append(chart.register_patient([("urn:oid:1", str(number))], "nurse"))
        clock.advance(seconds=number % 2)  # some at the same moment
    seen: list[Patient] = []
    after: str | None = None
    while True:
        page = chart.patients(2, after)
        assert page.total == 5
        seen += page.entries
        after = page.next_after
        if after is None:
            break
    assert sorted(seen, key=lambda one: (one.created_at, one.id)) == seen
    assert {one.id for one in seen} == {one.id for one in made}
    assert len(seen) == 5


def test_nobody_is_not_found(chart: Chart) -> None:
    with pytest.raises(NotFound):
        chart.patient("nobody")
    with pytest.raises(InvalidInput):
        chart.patients(2, "nobody")


@pytest.fixture
def register(database: Database, clock: Clock) -> PatientRegister:
    return PatientRegister(database, clock)


def stale(database: Database) -> set[str]:
    """Return the patients who are to be looked for anew."""
    with database.read() as session:
        return set(session.scalars(select(PatientLink.patient_id).where(PatientLink.is_stale)))


def matched(database: Database, *patient_ids: str) -> None:
    """Have patients matched on a server, all that they have there read, and their records put off."""
    connection = connect(database)
    with database.begin() as session:
        for patient_id in patient_ids:
            there = f"{patient_id}-there"
            link = {"state": "matched", "is_stale": False, "checked_at": MOMENT}
            session.add(PatientLink(patient_id=patient_id, connection_id=connection, server_id=there, **link))
            session.add(Watermark(connection_id=connection, scope=f"Patient/{there}", since="2026-03-02"))


def read_as_a_whole(database: Database) -> set[str]:
    """Return the patients of whom all has been read, by the server's ids."""
    with database.read() as session:
        return set(session.scalars(select(Watermark.scope)))


def test_a_second_value_in_a_system_is_refused_unless_it_is_meant(
    chart: Chart, register: PatientRegister, database: Database
) -> None:
    one = chart.register_patient([ONE], "nurse")
    before = contents(database)
    refusals: list[tuple[Callable[[], object], str]] = [
        (lambda: register.add_identifier(one.id, TWO, "jo"), "value"),
        (lambda: chart.register_patient([ONE, TWO], "jo"), "identifiers[1].value"),
        (lambda: chart.register_patient([THREE, FOUR], "jo"), "identifiers[1].value"),
    ]
    for act, path in refusals:
        with pytest.raises(InvalidContent) as refusal:
            act()
        assert [finding.path for finding in refusal.value.findings] == [path]
    assert contents(database) == before
    assert register.add_identifier(one.id, TWO, "jo", also=True).identifiers == (ONE, TWO)
    assert chart.register_patient([FOUR, THREE], "jo", also=True).identifiers == (THREE, FOUR)


def test_who_has_two_values_in_a_system_is_found_by_both_without_saying_so_again(chart: Chart) -> None:
    one = chart.register_patient([ONE, TWO], "nurse", also=True)
    assert chart.register_patient([ONE, TWO], "nurse") == one
    with pytest.raises(InvalidContent):
        chart.register_patient([ONE, TWO, ("urn:oid:1", "3")], "nurse")


def test_a_corrected_identifier_finds_and_the_mistyped_one_no_more(
    chart: Chart, register: PatientRegister
) -> None:
    one = chart.register_patient([ONE, THREE], "nurse")
    corrected = register.correct_identifier(one.id, ONE, TWO, "jo")
    assert corrected.identifiers == (TWO, THREE)
    assert chart.find_patient(*ONE) is None
    assert chart.find_patient(*TWO) == corrected


def test_a_corrected_identifier_may_make_two_values_in_a_system_only_if_that_is_meant(
    chart: Chart, register: PatientRegister
) -> None:
    one = chart.register_patient([ONE, THREE], "nurse")
    with pytest.raises(InvalidContent) as refusal:
        register.correct_identifier(one.id, ONE, FOUR, "jo")
    assert refusal.value.findings[0].path == "corrected.value"
    assert register.correct_identifier(one.id, ONE, FOUR, "jo", also=True).identifiers == (THREE, FOUR)


def test_the_last_identifier_stays(chart: Chart, register: PatientRegister, database: Database) -> None:
    one = chart.register_patient([ONE, THREE], "nurse")
    assert register.remove_identifier(one.id, ONE, "jo").identifiers == (THREE,)
    before = contents(database)
    with pytest.raises(InvalidContent, match="last identifier"):
        register.remove_identifier(one.id, THREE, "jo")
    assert contents(database) == before
    assert chart.find_patient(*ONE) is None


def test_another_patients_identifier_is_not_given_corrected_or_removed(
    chart: Chart, register: PatientRegister, database: Database
) -> None:
    one, two = chart.register_patient([ONE], "nurse"), chart.register_patient([TWO], "nurse")
    before = contents(database)
    acts: list[tuple[type[Exception], Callable[[], object]]] = [
        (Conflict, lambda: register.add_identifier(one.id, TWO, "jo", also=True)),
        (Conflict, lambda: register.correct_identifier(one.id, ONE, TWO, "jo")),
        (NotFound, lambda: register.correct_identifier(one.id, TWO, THREE, "jo")),
        (NotFound, lambda: register.remove_identifier(two.id, ONE, "jo")),
        (NotFound, lambda: register.remove_identifier(one.id, THREE, "jo")),
        (NotFound, lambda: register.add_identifier("nobody", THREE, "jo")),
    ]
    for refused, act in acts:
        with pytest.raises(refused):
            act()
    assert contents(database) == before


@pytest.mark.parametrize("bad", [("", "1"), ("urn:oid:9", " "), ("a b", "1")])
def test_an_identifier_is_corrected_into_one(
    chart: Chart, register: PatientRegister, bad: tuple[str, str]
) -> None:
    one = chart.register_patient([ONE], "nurse")
    with pytest.raises(InvalidContent) as refusal:
        register.correct_identifier(one.id, ONE, bad, "jo")
    assert refusal.value.findings[0].path.startswith("corrected.")


@pytest.mark.parametrize(
    "change",
    [
        lambda register, one: register.add_identifier(one, FOUR, "jo", also=True),
        lambda register, one: register.correct_identifier(one, ONE, TWO, "jo"),
        lambda register, one: register.correct_identifier(one, ONE, THREE, "jo"),
        lambda register, one: register.remove_identifier(one, ONE, "jo"),
    ],
    ids=["added", "corrected", "corrected into one that they have", "removed"],
)
def test_every_change_has_the_patient_looked_for_anew_and_their_chart_read_again(
    chart: Chart, register: PatientRegister, database: Database, change: Callable[[PatientRegister, str], Any]
) -> None:
    one = chart.register_patient([ONE, THREE], "nurse")
    other = chart.register_patient([("urn:oid:9", "9")], "nurse")
    matched(database, one.id, other.id)
    change(register, one.id)
    assert stale(database) == {one.id}
    assert read_as_a_whole(database) == {f"Patient/{other.id}-there"}


def test_what_is_due_to_a_patient_later_is_due_once_their_identifiers_change(
    chart: Chart, register: PatientRegister, database: Database, clock: Clock
) -> None:
    connect(database)
    one, other = patient(chart), patient(chart, "2")
    theirs = chart.create(builders.goal(one), "nurse").id
    others = chart.create(builders.goal(other), "nurse").id
    later = clock() + timedelta(hours=1)
    with database.begin() as session:
        session.execute(update(OutboxRow).values(next_attempt_at=later))
    register.add_identifier(one, THREE, "jo")
    due = {record_id: row.next_attempt_at for (record_id, _), row in outbox(database).items()}
    assert due == {theirs: clock(), others: later}


def test_the_history_says_who_did_what_when(chart: Chart, register: PatientRegister, clock: Clock) -> None:
    one = chart.register_patient([ONE], "nurse")
    clock.advance(seconds=1)
    register.add_identifier(one.id, THREE, "jo")
    register.correct_identifier(one.id, ONE, TWO, "kim")
    register.remove_identifier(one.id, TWO, "lee")

    def said(*names: tuple[str, str]) -> list[dict[str, str]]:
        return [{"system": system, "value": value} for system, value in names]

    lines = [(line.actor, line.action, line.detail) for line in register.history(one.id)]
    assert lines == [
        ("lee", "remove", {"identifiers": said(TWO)}),
        ("kim", "correct", {"corrected": [{"identifier": said(ONE)[0], "corrected": said(TWO)[0]}]}),
        ("jo", "add", {"identifiers": said(THREE)}),
        ("nurse", "register", {"identifiers": said(ONE)}),
    ]
    assert {line.at for line in register.history(one.id)} == {clock(), one.created_at}
    with pytest.raises(NotFound):
        register.history("nobody")


def test_what_they_have_already_adds_no_line(chart: Chart, register: PatientRegister) -> None:
    one = chart.register_patient([ONE], "nurse")
    register.add_identifier(one.id, ONE, "jo")
    chart.register_patient([ONE], "jo")
    assert [line.action for line in register.history(one.id)] == ["register"]
