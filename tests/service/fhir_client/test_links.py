"""A link's path and query, put onto the connection's own address; whatever host it names."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.fhir_client import links

BASE = "https://ehr.test/fhir"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("https://ehr.test/fhir?_getpages=7&_bundletype=searchset", "?_getpages=7&_bundletype=searchset"),
        ("https://ehr.test/fhir/Goal?page=2", "/Goal?page=2"),
        ("http://internal:8080/fhir/Goal?page=2", "/Goal?page=2"),
        ("HTTPS://EHR.TEST/fhir/Goal?page=2", "/Goal?page=2"),
        ("//cdn.test/fhir/Goal?page=2", "/Goal?page=2"),
        ("/fhir/Goal?page=2", "/Goal?page=2"),
        ("Goal?page=2", "/Goal?page=2"),
        ("Goal;v=1?page=2", "/Goal;v=1?page=2"),
        ("?_getpages=7", "?_getpages=7"),
        ("https://ehr.test/fhir/", "/"),
        ("https://ehr.test/fhir/Goal?page=2#top", "/Goal?page=2"),
        ("https://ehr.test/fhir/Go\tal?pa\r\nge=2", "/Goal?page=2"),
        ("https://ehr.test/fhir/Goal?name=a b|c&x=%7Cü", "/Goal?name=a%20b%7Cc&x=%7C%C3%BC"),
        ("https://ehr.test/fhir/Goal?at=https://x/y?z=[1]", "/Goal?at=https://x/y?z=%5B1%5D"),
        ("https://user:word@other.test/fhir/Goal?page=2", "/Goal?page=2"),
        ("https://[::1/fhir/Goal?page=2", "/Goal?page=2"),
        ("https://ehr.test:99999999/fhir/Goal?page=2", "/Goal?page=2"),
    ],
)
def test_path_and_query_are_taken_and_nothing_else(link: str, path: str) -> None:
    assert links.below(link, BASE) == path


@pytest.mark.parametrize(
    "link",
    [
        "https://ehr.test/",
        "https://ehr.test/admin",
        "https://ehr.test/fhir2/Goal",
        "https://ehr.test/fhirGoal",
        "https://ehr.test\\@other.test/",
        "http:///x",
        "//other.test/x",
        "/Goal",
        "https://ehr.test/fhir/../admin",
        "https://ehr.test/fhir/Goal/%2e%2E/%2e%2e/admin",
        "https://ehr.test/fhir/..%2fadmin",
        "https://ehr.test/fhir/..\\admin",
        "https://ehr.test/fhir/./Goal",
        "https://ehr.test/fhir/..;x/admin",
        "/fhir/Goal/%2e.;a=b/%2e%2e;/admin",
        "https://ehr.test/fhir/%252e%252e/admin",
        "Goal/..%253b/admin",
        "../admin",
        "javascript:alert(1)",
        "file:///fhir/Goal",
        "ftp://ehr.test/fhir/Goal",
    ],
)
def test_what_lies_elsewhere_is_no_page_of_this_server(link: str) -> None:
    assert links.below(link, BASE) is None


@given(st.text() | st.from_regex(r"(https?:)?/{0,3}[a-z@:\\\[\].]{0,12}(/fhir)?[/?\\@#%.a-z]{0,20}"))
def test_no_link_leads_to_another_host_or_fails(link: str) -> None:
    for base in (BASE, "http://127.0.0.1:8090", "http://127.0.0.1:8090/fhir/r4"):
        path = links.below(link, base)
        if path is not None:
            assert path[:1] in ("", "/", "?")
            assert urlsplit(base + path).netloc == urlsplit(base).netloc
            assert urlsplit(base + path).path.startswith(urlsplit(base).path)


@pytest.mark.parametrize(
    ("link", "is_same"),
    [
        ("https://ehr.test/fhir/", True),
        ("https://EHR.test:443/fhir/", True),
        ("/fhir/", True),
        ("//ehr.test/fhir/", True),
        ("http://ehr.test/fhir/", False),
        ("https://ehr.test:8443/fhir/", False),
        ("https://ehr.test\\@other.test/fhir/", False),
        ("https://ehr.test@other.test/fhir/", False),
        ("//other.test/fhir/", False),
        ("https:/fhir/", False),
    ],
)
def test_an_origin_is_told_letter_by_letter(link: str, is_same: bool) -> None:
    assert links.on_same_origin(link, BASE) is is_same
