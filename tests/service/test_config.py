"""Settings are read once, strictly, and a wrong one is named."""

import dataclasses

import pytest

from service.config import Config, ConfigError


def test_nothing_has_to_be_set() -> None:
    assert Config.from_env({"PATH": "/bin", "MAINSTAY_PORT": " "}) == Config()
    assert (Config().host, Config().port, Config().requires_token) == ("127.0.0.1", 8080, False)


def test_settings_are_read_from_the_environment() -> None:
    config = Config.from_env(
        {
            "MAINSTAY_DATABASE_URL": "postgresql://h/d",
            "MAINSTAY_PORT": "0",
            "MAINSTAY_SYNC_INTERVAL_SECONDS": "0.5",
            "MAINSTAY_FHIR_BASE_URL": "https://ehr.example/fhir",
            "MAINSTAY_FHIR_TOKEN_FILE": "/run/token",
            "MAINSTAY_PUBLIC_URL": "https://mainstay.example/records",
            "MAINSTAY_CONNECTION_ALLOWED_URLS": " https://ehr.example/fhir\n http://127.0.0.1:8090 ",
            "MAINSTAY_AUTH_ISSUER": "https://issuer.example",
            "MAINSTAY_AUTH_AUDIENCE": "mainstay",
            "MAINSTAY_AUTH_JWKS_URL": "https://issuer.example/keys",
            "MAINSTAY_LOG_LEVEL": "DEBUG",
            "MAINSTAY_LOG_FORMAT": "json",
        }
    )
    assert (config.port, config.sync_interval_seconds) == (0, 0.5)
    assert config.requires_token
    assert config.log_format == "json"
    assert config.public_url == "https://mainstay.example/records"
    assert config.connection_allowed_urls == ("https://ehr.example/fhir", "http://127.0.0.1:8090")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAINSTAY_PORT", "eighty"),
        ("MAINSTAY_PORT", "65536"),
        ("MAINSTAY_PORT", "-1"),
        ("MAINSTAY_SYNC_INTERVAL_SECONDS", "0"),
        ("MAINSTAY_SYNC_INTERVAL_SECONDS", "nan"),
        ("MAINSTAY_SYNC_INTERVAL_SECONDS", "inf"),
        ("MAINSTAY_SYNC_BATCH_SIZE", "0"),
        ("MAINSTAY_SYNC_BATCH_SIZE", "1.5"),
        ("MAINSTAY_REQUEST_TIMEOUT_SECONDS", "soon"),
        ("MAINSTAY_REQUEST_TIMEOUT_SECONDS", "241"),
        ("MAINSTAY_LISTING_TIMEOUT_SECONDS", "0"),
        ("MAINSTAY_MAX_BODY_BYTES", "0"),
        ("MAINSTAY_FHIR_BASE_URL", "ehr.example"),
        ("MAINSTAY_FHIR_BASE_URL", "https://user:seeded@ehr.example/fhir"),
        ("MAINSTAY_FHIR_BASE_URL", "https://ehr.example:port/fhir"),
        ("MAINSTAY_FHIR_BASE_URL", "https://ehr.example/fhir?x=1"),
        ("MAINSTAY_FHIR_TOKEN_FILE", "token"),
        ("MAINSTAY_PUBLIC_URL", "mainstay.example"),
        ("MAINSTAY_PUBLIC_URL", "https://mainstay.example/?a=b"),
        ("MAINSTAY_CONNECTION_ALLOWED_URLS", "https://ehr.example https://seeded:word@ehr.example"),
        ("MAINSTAY_CONNECTION_ALLOWED_URLS", "https://ehr.example/fhir,https://other.example"),
        ("MAINSTAY_CONNECTION_ALLOWED_URLS", "*"),
        ("MAINSTAY_AUTH_ISSUER", "https://issuer.example"),
        ("MAINSTAY_AUTH_JWKS_URL", "issuer.example"),
        ("MAINSTAY_LOG_LEVEL", "LOUD"),
        ("MAINSTAY_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refusal:
        Config.from_env({name: value})
    assert "seeded" not in str(refusal.value)


def test_every_setting_has_a_line_in_the_table() -> None:
    names = [f"MAINSTAY_{field.name.upper()}" for field in dataclasses.fields(Config)]
    assert [setting.name for setting in Config.settings()] == names
    assert all(setting.meaning for setting in Config.settings())
    defaults = {setting.name: setting.default for setting in Config.settings()}
    assert defaults["MAINSTAY_PORT"] == "8080"
    assert defaults["MAINSTAY_SYNC_INTERVAL_SECONDS"] == "30"
    assert defaults["MAINSTAY_FHIR_BASE_URL"] == ""
