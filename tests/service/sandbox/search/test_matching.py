"""Dates and tokens, form by form."""

import pytest

from service.sandbox.outcomes import FHIRError
from service.sandbox.search.matching import date, reference, string, token, uri


@pytest.mark.parametrize(
    ("element", "value", "met"),
    [
        ("2026-02", "2026-02", True),
        ("2026-02-28", "2026-02", True),
        ("2026-03-01", "2026-02", False),
        ("2026", "2026-02", False),
        ("2026-02", "ge2026-02-15", True),
        ("2026-02", "gt2026-02-28", False),
        ("2026-02-03T10:00:00+01:00", "2026-02-03T09:00:00Z", True),
        ("2026-02-03T23:30:00-05:00", "2026-02-04", True),
        ("2026-02-03T10:00:00.250Z", "ge2026-02-03T10:00:00.250Z", True),
        ("2026-02-03T10:00:00.250Z", "gt2026-02-03T10:00:00.250Z", False),
        ("2026-02-03T10:00:00.250Z", "lt2026-02-03T10:00:00.251Z", True),
        ("2024-02-29", "2024", True),
        ("2026-12-31", "ne2026", False),
        ("2025-12-31", "ne2026", True),
        ("2025-12-31", "eb2026", True),
        ("2026-01-01", "sa2025-12", True),
        ("2026-02-03T10:00:00Z", "ge2026-02-03T10:00:00 00:00", True),
        ({"start": "2026-01-01"}, "ge2030", True),
        ({"start": "2026-01-01"}, "lt2026", False),
        ({"end": "2026-01-01"}, "lt2020", True),
        ({}, "ge2026", False),
        ("9999", "9999", True),
        ("9999-12-31T23:59:59.999-14:00", "ge9999-12", True),
        ("9999-12-31T23:59:59-14:00", "gt2026", True),
        ("0001-01-01T00:00:00+14:00", "lt0001-01-02", True),
        ("2026-02-03", "lt9999-12-31T23:59:59-14:00", True),
        ("2026-02-03", "gt0001-01-01T00:00:00+14:00", True),
    ],
)
def test_dates_are_compared_as_intervals(element: object, value: str, met: bool) -> None:
    assert date([value], None)([element]) is met


@pytest.mark.parametrize(
    "value", ["", "0000", "10000", "٢٠٢٦", "yesterday", "2026-13", "2026-02-30", "xx2026", "2026-02-03T25:00"]
)
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(FHIRError):
        date([value], None)


@pytest.mark.parametrize(
    ("element", "value", "met"),
    [
        ("active", "active", True),
        (True, "true", True),
        ({"system": "s", "value": "v"}, "s|v", True),
        ({"system": "s", "value": "v"}, "|v", False),
        ({"value": "v"}, "|v", True),
        ({"coding": [{"system": "s", "code": "a"}, {"system": "s", "code": "b"}]}, "s|b", True),
        ({"text": "a"}, "a", False),
    ],
)
def test_tokens_are_compared_by_system_and_code(element: object, value: str, met: bool) -> None:
    assert token([value], None)([element]) is met


def test_one_of_several_values_is_enough() -> None:
    assert token(["a", "s|b", "t|"], None)([{"system": "s", "code": "b"}])
    assert not token(["a", "s|b", "t|"], None)([{"system": "s", "code": "a2"}])
    assert string(["run", "Wal"], None)([{"text": "walk"}])
    assert not string(["run", "Wal"], "exact")([{"text": "walk"}])
    assert string(["run", "walk"], "exact")([{"text": "walk"}])
    assert uri(["http://a.example", "http://b.example"], None)(["http://b.example"])
    assert not uri(["http://a.example"], None)([{"url": "http://a.example"}, "http://b.example"])
    assert reference(["2", "Patient/3"], None)([{"reference": "Patient/3"}])
    assert date(["2025", "ge2027"], None)(["2025-03"])
    assert not date(["2025", "ge2027"], None)(["2026"])


@pytest.mark.parametrize("system", [["s"], {"s": 1}, 5])
def test_a_system_that_is_no_text_is_none(system: object) -> None:
    assert token(["|a"], None)([{"system": system, "code": "a"}])


@pytest.mark.parametrize(
    ("element", "value", "modifier", "met"),
    [
        ({"reference": "Patient/1"}, "1", None, True),
        ({"reference": "Patient/1"}, "1", "Patient", True),
        ({"reference": "Group/1"}, "1", "Patient", False),
        ({"reference": "Patient/11"}, "1", None, False),
        ({"identifier": {"value": "1"}}, "1", None, False),
        ("http://example.org/q|1.0", "http://example.org/q", None, True),
        ("http://example.org/q|1.0", "http://example.org/q|2.0", None, False),
    ],
)
def test_references_are_compared_by_target(
    element: object, value: str, modifier: str | None, met: bool
) -> None:
    assert reference([value], modifier)([element]) is met
