"""What a base URL is, and what lies below one: by its parts."""

import pytest

from service.base_urls import BaseURL, has_dot_segments, parse

FHIR = "https://ehr.example/fhir/r4"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://ehr.example/fhir", BaseURL("https", "ehr.example", 443, ("fhir",))),
        ("HTTPS://EHR.Example:443/fhir/", BaseURL("https", "ehr.example", 443, ("fhir",))),
        ("http://127.0.0.1:8090", BaseURL("http", "127.0.0.1", 8090, ())),
        ("http://[::1]:8090/a%20b/c", BaseURL("http", "::1", 8090, ("a%20b", "c"))),
        ("http://ehr.example/fhir;v=4", BaseURL("http", "ehr.example", 80, ("fhir;v=4",))),
        ("http://fhir_server/", BaseURL("http", "fhir_server", 80, ())),
    ],
)
def test_a_base_url_has_these_parts(text: str, parts: BaseURL) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ehr.example/fhir",
        "//ehr.example/fhir",
        "ftp://ehr.example/fhir",
        "file:///etc/passwd",
        "https://",
        "https:///fhir",
        "https://user@ehr.example/fhir",
        "https://user:word@ehr.example/fhir",
        "https://:word@ehr.example/fhir",
        "https://@ehr.example/fhir",
        "https://ehr.example/fhir?a=b",
        "https://ehr.example/fhir?",
        "https://ehr.example/fhir#",
        "https://ehr.example:port/fhir",
        "https://ehr.example:0/fhir",
        "https://ehr.example:65536/fhir",
        "https://ehr.example\\@evil.example/fhir",
        "https:\\\\ehr.example\\fhir",
        "https://ehr.example/fhir/../admin",
        "https://ehr.example/./fhir",
        "https://ehr.example/fhir/%2e%2E/admin",
        "https://ehr.example/fhir%2f..%2fadmin",
        "https://ehr.example/fhir%5cadmin",
        "https://ehr.example/fhir/%252e%252e/admin",
        "https://ehr.example/fhir/..;x=1/admin",
        "https://ehr.example/.;/fhir",
        "https://ehr.example/fhir/%2e.%3bx/admin",
        "https://ehr.example/fhir/;x/r4",
        "https://ehr.example/fhir%00",
        "https://ehr.example//fhir",
        " https://ehr.example/fhir",
        "https://ehr.example/fhir\n",
        "https://ehr.exa\tmple/fhir",
        "https://ehr.exämple/fhir",
        "https://[::1/fhir",
        "https://[fe80::1%25eth0]/fhir",
    ],
)
def test_what_is_no_base_url_has_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("path", "has"),
    [
        ("/fhir/Goal", False),
        ("/fhir/Goal;jsessionid=a..b/7", False),
        ("/fhir/...", False),
        ("/fhir/a%252fb", False),
        ("/fhir/100%", False),
        ("/a/../b", True),
        ("..", True),
        ("/a/..;/b", True),
        ("/a/.;v=1;w=2", True),
        ("/a/..%3Bx/b", True),
        ("/a%5c..%5cb", True),
        ("/a/%252e%252E/b", True),
        ("/a/%25252e./b", True),
        ("/a/.%252e%253bx/b", True),
        ("/a/x%252f..%252fb", True),
        (f"/a/%{'25' * 400}2e", True),
    ],
)
def test_a_dot_segment_is_seen_in_every_guise_that_a_server_sees_through(path: str, has: bool) -> None:
    assert has_dot_segments(path) is has


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        (FHIR, ""),
        ("https://ehr.example/fhir/r4/", ""),
        ("https://EHR.example:443/fhir/r4/Patient/1", "Patient/1"),
        ("https://ehr.example/fhir/r40", None),
        ("https://ehr.example/fhir", None),
        ("https://ehr.example/fhir/R4", None),
        ("http://ehr.example/fhir/r4", None),
        ("https://ehr.example:8443/fhir/r4", None),
        ("https://ehr.example.evil.example/fhir/r4", None),
        ("https://evil.example/fhir/r4", None),
    ],
)
def test_what_lies_below_a_base_is_told_by_its_parts(url: str, rest: str | None) -> None:
    base, parsed = parse(FHIR), parse(url)
    assert base is not None
    assert parsed is not None
    assert parsed.below(base) == rest
