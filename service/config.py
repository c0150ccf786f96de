"""Settings: a frozen Config, read once from the environment, the only place that reads it."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple

from service import base_urls

PREFIX = "MAINSTAY_"


class ConfigError(ValueError):
    """A setting that cannot be used; the message names the variable."""


class Setting(NamedTuple):
    """One line of the settings table: environment variable, default, meaning."""

    name: str
    default: str
    meaning: str


def _setting(default: Any, meaning: str, **rules: Any) -> Any:
    return field(default=default, metadata={"meaning": meaning, **rules})


@dataclass(frozen=True, kw_only=True)
class Config:
    """How this process is set up. Values are checked when it is made, however it is made."""

    database_url: str = _setting("sqlite:///mainstay.db", "where records are kept: SQLite or PostgreSQL")
    host: str = _setting("127.0.0.1", "address that the server binds to")
    port: int = _setting(8080, "port that the server binds to; 0 takes a free one", least=0, most=65535)
    public_url: str | None = _setting(
        None,
        "address that others reach the API at, where a proxy stands before it; all our links begin with it",
        is_url=True,
    )
    identifier_system: str | None = _setting(
        None, "system of the identifiers that we give to records; made once per database when not set"
    )
    fhir_base_url: str | None = _setting(
        None, "FHIR server to keep in step, as the connection `default`", is_url=True
    )
    fhir_token_file: str | None = _setting(None, "file that holds the bearer token for that server")
    connection_allowed_urls: tuple[str, ...] = _setting(
        (),
        "base URLs, spaces between them, at or below which connections may be added over HTTP; else none may",
        is_url=True,
    )
    auth_issuer: str | None = _setting(None, "issuer of the tokens that we accept")
    auth_audience: str | None = _setting(None, "audience that those tokens have to name")
    auth_jwks_url: str | None = _setting(None, "where the issuer's signing keys are read", is_url=True)
    patient_match_seconds: float = _setting(
        3600.0, "how long a Patient there is taken for the patient here without another look", above=0
    )
    reference_match_seconds: float = _setting(
        86400.0, "how long a practitioner or condition found by identifier is believed to be there", above=0
    )
    same_identifier_systems: str | None = _setting(
        None,
        "identifier systems that are one: two with a bar between them, blanks between pairs",
        is_pairs=True,
    )
    sync_interval_seconds: float = _setting(30.0, "how long the worker waits between two rounds", above=0)
    sync_batch_size: int = _setting(50, "records sent to a FHIR server in one request at most", least=1)
    # A lease of five minutes has to outlast a request.
    request_timeout_seconds: float = _setting(
        30.0, "how long a FHIR server may take for one answer, to its last byte", above=0, most=240
    )
    listing_timeout_seconds: float = _setting(
        900.0, "how long a FHIR server may take for all pages of one search", above=0
    )
    max_body_bytes: int = _setting(5_000_000, "largest request body that is read", least=1)
    log_level: str = _setting(
        "INFO", "least level that is logged", among=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    log_format: str = _setting("console", "how log lines are written", among=("console", "json"))

    def __post_init__(self) -> None:
        for spec in fields(self):
            problem = _problem(getattr(self, spec.name), spec.metadata)
            if problem:
                raise ConfigError(f"{variable(spec.name)} {problem}")
        _all_or_none(self, "auth_issuer", "auth_audience", "auth_jwks_url")
        if self.fhir_token_file and not self.fhir_base_url:
            raise ConfigError(f"{variable('fhir_token_file')} needs {variable('fhir_base_url')} beside it")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Config":
        """Read the settings that are in the environment; an empty variable counts as not set."""
        given = {
            spec.name: _parsed(variable(spec.name), environ[variable(spec.name)], spec.type)
            for spec in fields(cls)
            if environ.get(variable(spec.name), "").strip()
        }
        return cls(**given)

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """List every setting with its default and meaning, as the README shows them."""
        return tuple(
            Setting(variable(spec.name), _shown(spec.default), spec.metadata["meaning"])
            for spec in fields(cls)
        )

    @property
    def requires_token(self) -> bool:
        return self.auth_issuer is not None


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + name.upper()


def _shown(default: Any) -> str:
    if default in (None, (), MISSING):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def _parsed(name: str, text: str, kind: Any) -> Any:
    text = text.strip()
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise ConfigError(f"{name} has to be {wanted}") from None
    return text if kind in (str, str | None) else tuple(text.split())


def _problem(value: Any, rules: Mapping[str, Any]) -> str | None:
    if value is None:
        return None
    if "least" in rules and value < rules["least"]:
        return f"has to be {rules['least']} or more"
    if "most" in rules and value > rules["most"]:
        return f"has to be {rules['most']} or less"
    if "above" in rules and not rules["above"] < value < float("inf"):
        return f"has to be more than {rules['above']}"
    if "among" in rules and value not in rules["among"]:
        return f"has to be one of {', '.join(rules['among'])}"
    if rules.get("is_url"):
        return _url_problem(value)
    if rules.get("is_pairs") and not all(_is_pair(pair) for pair in value.split()):
        return "has to be pairs of systems, one|other, with blanks between them"
    return None


def _is_pair(text: str) -> bool:
    systems = text.split("|")
    return len(systems) == 2 and all(systems)


def _url_problem(value: str | tuple[str, ...]) -> str | None:
    urls = (value,) if isinstance(value, str) else value
    if any(base_urls.parse(url) is None for url in urls):
        return "has to be an http or https URL without user, password, query or fragment"
    return None


def _all_or_none(config: Config, *names: str) -> None:
    missing = [name for name in names if not getattr(config, name)]
    if missing and len(missing) < len(names):
        raise ConfigError(
            f"{', '.join(map(variable, missing))} missing: "
            f"{', '.join(map(variable, names))} are set together or not at all"
        )
