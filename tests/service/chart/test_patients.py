"""Patients are who their identifiers say."""

import pytest

from service.chart import Chart
from service.errors import Conflict, InvalidContent, InvalidInput, NotFound
from tests.clock import Clock

ONE, TWO, THREE = (("urn:oid:1", "1"), ("urn:oid:1", "2"), ("urn:oid:3", "1"))


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
    seen, after = [], None
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
