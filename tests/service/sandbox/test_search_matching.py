"""Dates and tokens, form by form."""

import pytest

from service.sandbox.outcomes import FHIRError
from service.sandbox.search_matching import date, reference, token


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
    ],
)
def test_dates_are_compared_as_intervals(element: object, value: str, met: bool) -> None:
    assert date([element], value, None) is met


@pytest.mark.parametrize("value", ["", "yesterday", "2026-13", "2026-02-30", "xx2026", "2026-02-03T25:00"])
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(FHIRError):
        date([], value, None)


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
    assert token([element], value, None) is met


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
    assert reference([element], value, modifier) is met
