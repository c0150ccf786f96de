"""What headers and bodies say, however odd they are: a value or none, never an exception."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mappings.exact_json import Tree
from service.fhir_client import outcomes
from service.fhir_client.outcomes import Answered, Found, Refused
from service.fhir_client.pages import page_of

ODD_DATES = [
    "Mon, 01 Jan 99999 00:00:00 GMT",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 02 Mar 2026 08:31:30 +99999999999999999999",
    "Mon, 02 Mar 2026 25:61:61 GMT",
    "Mon, 32 Foo 2026 08:31:30 GMT",
    "0",
    ",",
    " ",
    ":::",
    "\xff\xfe",
    "9" * 5000,
]


@pytest.mark.parametrize("date", ODD_DATES)
def test_a_date_that_no_calendar_has_is_none(date: str) -> None:
    assert outcomes.moment_in(date) is None


@pytest.mark.parametrize(
    "date",
    ["Mon, 02 Mar 2026 08:31:30 GMT", "Monday, 02-Mar-26 08:31:30 GMT", "Mon Mar  2 08:31:30 2026"],
    ids=["today's form", "RFC 850", "asctime"],
)
def test_an_http_date_is_read_in_all_its_forms(date: str) -> None:
    assert outcomes.moment_in(date) == datetime(2026, 3, 2, 8, 31, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "instant",
    [
        "99999-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-03-02T08:31:30",
        "yesterday",
        20260302,
        ["2026-03-02T08:31:30Z"],
        None,
    ],
)
def test_an_instant_that_is_none_is_none(instant: Any) -> None:
    assert outcomes.instant_in(instant) is None
    bundle: Tree = {"resourceType": "Bundle", "meta": {"lastUpdated": instant}}
    assert page_of(Answered(200, body=bundle)) == Found([])


@given(st.text(), st.text(), st.text(), st.text())
def test_no_header_is_too_odd(date: str, etag: str, location: str, retry_after: str) -> None:
    headers = {"Date": date, "ETag": etag, "Location": location, "Retry-After": retry_after}
    assert isinstance(outcomes.answered(200, headers, None), Answered)
    assert isinstance(outcomes.refused(503, headers, None), Refused)


@pytest.mark.parametrize(
    ("etag", "version"),
    [
        ('W/"3"', "3"),
        ('"3"', "3"),
        ("3", "3"),
        ('W/"a/b+c=="', "a/b+c=="),
        ('W/""', None),
        ("", None),
        ('W/"3\r\nX: y"', None),
        ('"1 2"', None),
        ('"\xff"', None),
        ('"' + "9" * 300 + '"', None),
        (None, None),
    ],
)
def test_a_version_is_what_can_be_sent_back(etag: str | None, version: str | None) -> None:
    assert outcomes.version_in(etag) == version


@pytest.mark.parametrize(
    "meta", [{"versionId": 3}, {"versionId": ""}, {"versionId": 'x"y'}, {"versionId": "1\n"}, "3", [], None]
)
def test_a_body_names_a_version_or_none(meta: Any) -> None:
    assert outcomes.version_of({"resourceType": "Goal", "meta": meta}) is None


GOAL = {"resourceType": "Goal", "id": "1"}


@pytest.mark.parametrize(
    ("entry", "resources", "unreadable"),
    [
        ([{"resource": GOAL}], 1, 0),
        ([{"resource": GOAL}, {"resource": {"resourceType": "Goal"}}], 1, 1),
        ([{"resource": GOAL}, {"resource": {**GOAL, "id": 7}}, {"resource": {**GOAL, "id": "a/b"}}], 1, 2),
        ([{"resource": "Goal/1"}, {"fullUrl": "urn:x"}, "Goal", None, []], 0, 5),
        ([{"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}], 0, 0),
        ([{"request": {"method": "DELETE", "url": "Goal/1"}}], 0, 0),
        ([{"request": {"method": "PUT", "url": "Goal/1"}}], 0, 1),
        ({"resource": GOAL}, 0, 1),
        ([], 0, 0),
        (None, 0, 0),
    ],
)
def test_what_a_page_shows_and_nobody_can_read_is_counted(
    entry: Any, resources: int, unreadable: int
) -> None:
    page = page_of(Answered(200, body={"resourceType": "Bundle", "entry": entry}))
    assert isinstance(page, Found)
    assert (len(page.resources), page.unreadable) == (resources, unreadable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(ODD_DATES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resource",
                    "resourceType",
                    "id",
                    "link",
                    "relation",
                    "url",
                    "entry",
                    "request",
                    "method",
                    "meta",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON, JSON)
def test_no_bundle_is_too_odd(entry: Any, link: Any, meta: Any) -> None:
    bundle = {"resourceType": "Bundle", "entry": entry, "link": link, "meta": meta}
    assert isinstance(page_of(Answered(200, body=bundle)), Found)
