"""What a connection may be called and where it may lead: a table for every door."""

import pytest

from service.errors import Forbidden, InvalidContent
from service.sync.server.connection_rules import is_same, require_allowed, require_valid, shown

CLINIC = "https://fhir.clinic.example/r4"


@pytest.mark.parametrize("name", ["clinic", "c", "7-eleven_b", "a" * 63])
def test_a_plain_name_and_address_will_do(name: str) -> None:
    require_valid(name, CLINIC)


@pytest.mark.parametrize(
    ("name", "base_url", "paths"),
    [
        ("Clinic", CLINIC, ["name"]),
        ("", CLINIC, ["name"]),
        ("clinic\n", CLINIC, ["name"]),
        ("-clinic", CLINIC, ["name"]),
        ("a" * 64, CLINIC, ["name"]),
        ("default", CLINIC, ["name"]),
        ("clinic", "https://nurse:seeded@fhir.clinic.example/r4", ["base_url"]),
        ("clinic", "ftp://fhir.clinic.example", ["base_url"]),
        ("clinic", "https://fhir.clinic.example/r4?key=1", ["base_url"]),
        ("clinic", "", ["base_url"]),
        ("ö", "file:///etc", ["name", "base_url"]),
    ],
)
def test_what_cannot_be_is_refused_by_field(name: str, base_url: str, paths: list[str]) -> None:
    with pytest.raises(InvalidContent) as refusal:
        require_valid(name, base_url)
    assert [finding.path for finding in refusal.value.findings] == paths
    assert "seeded" not in str(refusal.value)


def test_the_name_default_is_the_settings() -> None:
    require_valid("default", CLINIC, by_settings=True)


@pytest.mark.parametrize(
    ("base_url", "allowed"),
    [
        (CLINIC, [CLINIC]),
        (f"{CLINIC}/", [CLINIC]),
        (f"{CLINIC}/tenant-7", ["http://other.example", f"{CLINIC}/"]),
        ("HTTPS://FHIR.clinic.example:443/r4", [CLINIC]),
        ("http://127.0.0.1:8090/fhir", ["http://127.0.0.1:8090"]),
    ],
)
def test_an_address_at_or_below_one_that_is_allowed_may_be_added(base_url: str, allowed: list[str]) -> None:
    require_allowed(base_url, allowed)


@pytest.mark.parametrize(
    ("base_url", "allowed"),
    [
        (CLINIC, []),
        ("https://fhir.clinic.example/r40", [CLINIC]),
        ("https://fhir.clinic.example/", [CLINIC]),
        ("https://fhir.clinic.example/r4/../admin", [CLINIC]),
        ("https://fhir.clinic.example/r4/%2e%2e/admin", [CLINIC]),
        ("https://fhir.clinic.example.evil.example/r4", [CLINIC]),
        ("https://fhir.clinic.example@evil.example/r4", [CLINIC]),
        ("https://evil.example\\@fhir.clinic.example/r4", [CLINIC]),
        ("http://fhir.clinic.example/r4", [CLINIC]),
        ("https://fhir.clinic.example:8443/r4", [CLINIC]),
        ("http://127.0.0.1:8091/fhir", ["http://127.0.0.1:8090"]),
        ("http://localhost:8090/fhir", ["http://127.0.0.1:8090"]),
        ("http://2130706433:8090/fhir", ["http://127.0.0.1:8090"]),
        ("http://169.254.169.254/latest", [CLINIC, "http://127.0.0.1:8090"]),
    ],
)
def test_any_other_address_is_refused_with_the_name_of_the_setting(base_url: str, allowed: list[str]) -> None:
    with pytest.raises(Forbidden, match="MAINSTAY_CONNECTION_ALLOWED_URLS"):
        require_allowed(base_url, allowed)


def test_one_place_is_one_place_however_it_is_written() -> None:
    assert is_same(CLINIC, "HTTPS://fhir.CLINIC.example:443/r4/")
    assert not is_same(CLINIC, "https://fhir.clinic.example/r5")


def test_an_address_is_shown_without_user_and_password() -> None:
    assert shown("https://nurse:seeded@fhir.clinic.example:8443/r4") == "https://fhir.clinic.example:8443/r4"
    assert shown(CLINIC) == CLINIC
