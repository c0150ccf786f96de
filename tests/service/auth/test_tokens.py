"""Bearer tokens: which are believed, and that all others are refused, whatever their shape."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from service.auth import KeySource, TokenVerifier
from service.errors import Unauthorized

ISSUER, AUDIENCE, URL = "https://issuer.example", "https://mainstay.example", "https://issuer.example/keys"
START = datetime(2026, 11, 23, 21, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
NEW = ECKey.generate_key("P-256", {"kid": "new"})
Key = RSAKey | ECKey
DEEP = "[" * 5000 + "]" * 5000


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def at_once(work: Callable[[], None]) -> None:
    work()


class Issuer:
    def __init__(self, *keys: Key) -> None:
        self.keys = keys
        self.asked = 0

    def __call__(self, url: str) -> Any:
        assert url == URL
        self.asked += 1
        if not self.keys:
            raise OSError("down")
        return KeySet(list(self.keys)).as_dict()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(RSA, EC)


@pytest.fixture
def verifier(issuer: Issuer, clock: Clock) -> TokenVerifier:
    return TokenVerifier(ISSUER, AUDIENCE, KeySource(URL, issuer, clock, run=at_once), clock)


def claims(**changed: Any) -> dict[str, Any]:
    at = int(START.timestamp())
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "app-1",
        "iat": at,
        "exp": at + 300,
        "scope": "system/*.rs",
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def bearer(key: Key = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **changed: Any) -> str:
    token = jwt.encode(
        {"alg": alg, "kid": key.kid, **(header or {})},
        claims(**changed),
        key,
        algorithms=[alg],
        default_type="JWT",
    )
    return f"Bearer {token}"


def part(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def handmade(alg: str, sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make: unsigned, or signed with the public key as a secret."""
    signed = part({"alg": alg, "kid": "rsa"}) + b"." + part(claims())
    return "Bearer " + (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


def hmac_by_public_key(signed: bytes) -> bytes:
    return hmac.digest(RSA.as_pem(private=False), signed, "sha256")


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "RS384"), (EC, "ES256")])
def test_a_token_of_the_issuer_says_who_asks_and_for_what(
    verifier: TokenVerifier, key: Key, alg: str
) -> None:
    principal = verifier.principal(bearer(key, alg, patient="p1"))
    assert (principal.actor, principal.scopes, principal.patient) == ("app-1", "system/*.rs", "p1")


def test_one_audience_among_several_is_enough(verifier: TokenVerifier) -> None:
    assert verifier.principal(bearer(aud=["https://other.example", AUDIENCE])).actor == "app-1"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"exp": None},
        {"exp": int(START.timestamp()) - 60},
        {"exp": "tomorrow"},
        {"nbf": int(START.timestamp()) + 60},
        {"sub": None},
        {"sub": 5},
        {"scope": 5},
        {"patient": 5},
        {"patient": ""},
        {"patient": ["p1"]},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(verifier: TokenVerifier, changed: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        verifier.principal(bearer(**changed))


def test_a_clock_that_is_a_little_off_is_forgiven(verifier: TokenVerifier) -> None:
    at = int(START.timestamp())
    assert verifier.principal(bearer(exp=at - 20, nbf=at + 20)).actor == "app-1"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer not.a.token",
        "Bearer ....",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        bearer(STRANGER),
        handmade("HS256", hmac_by_public_key),
        handmade("none", lambda _: b""),
        bearer(RSA, "RS512"),
        bearer(RSA, "PS256"),
        bearer(RSA)[:-6] + "AAAAAA",
        bearer(EC, "ES256").replace("Bearer ey", "Bearer xy"),
        bearer(STRANGER, header={"jwk": STRANGER.as_dict(private=False)}),
        bearer(STRANGER, header={"kid": "unknown"}),
        bearer(EC, "ES256", header={"kid": "rsa"}),
    ],
)
def test_what_is_no_token_of_the_issuer_is_refused(
    verifier: TokenVerifier, authorization: str | None
) -> None:
    with pytest.raises(Unauthorized):
        verifier.principal(authorization)


def test_a_token_that_was_good_a_moment_ago_ends_with_its_time(verifier: TokenVerifier, clock: Clock) -> None:
    token = bearer()
    verifier.principal(token)
    clock.now += timedelta(seconds=331)
    with pytest.raises(Unauthorized):
        verifier.principal(token)


def test_a_token_that_was_good_a_moment_ago_ends_with_its_key(
    verifier: TokenVerifier, issuer: Issuer, clock: Clock
) -> None:
    token = bearer(exp=int(START.timestamp()) + 86_400)
    verifier.principal(token)
    issuer.keys = (NEW,)
    clock.now += timedelta(hours=1)
    with pytest.raises(Unauthorized):
        verifier.principal(token)


def test_a_token_that_was_good_does_not_vouch_for_one_like_it(verifier: TokenVerifier) -> None:
    token = bearer()
    verifier.principal(token)
    start, claimed, signature = token.split(".")
    other = part(claims(sub="somebody-else")).decode()
    assert claimed != other
    with pytest.raises(Unauthorized):
        verifier.principal(f"{start}.{other}.{signature}")


def signed(payload: str, header: str | None = None) -> str:
    """A token that the issuer did sign, whatever it says: header and payload are taken as they are."""
    start = base64.urlsafe_b64encode((header or '{"alg":"ES256","kid":"ec"}').encode()).rstrip(b"=")
    text = start + b"." + base64.urlsafe_b64encode(payload.encode("utf-8", "surrogatepass")).rstrip(b"=")
    assert EC.private_key is not None
    hashed = EC.private_key.sign(text, ECDSA(SHA256()))
    signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(hashed))
    return "Bearer " + (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def said(**raw: str) -> str:
    """Claims as JSON text, some of them replaced by text of the test's own."""
    members = {name: json.dumps(value) for name, value in claims().items()} | raw
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def test_a_token_made_by_hand_counts_where_its_claims_do(verifier: TokenVerifier) -> None:
    assert verifier.principal(signed(said())).actor == "app-1"


@pytest.mark.parametrize(
    "payload",
    [
        DEEP,
        said(other=DEEP),
        said(scope=DEEP),
        said(patient=DEEP),
        '{"a":' * 5000 + "1" + "}" * 5000,
        "[]",
        "null",
        "7",
        '"text"',
        "",
        "{",
        "\x00",
        said(exp="NaN"),
        said(exp="Infinity"),
        said(exp="-Infinity"),
        said(exp="1e999"),
        said(exp="true"),
        said(exp="[9999999999]"),
        said(exp='{"at": 9999999999}'),
        said(exp="9" * 5000),
        said(iat="9" * 400),
        said(iat="1e308"),
        said(nbf="NaN"),
        said(nbf="9" * 400),
        said(iss='["https://issuer.example"]'),
        said(aud='{"https://mainstay.example": 1}'),
        said(aud='[["https://mainstay.example"]]'),
        said(sub='""'),
        said(sub='{"id": "app-1"}'),
        said(sub='"a\\u0000b"'),
        said(sub='"\\ud800"'),
        said(sub=json.dumps("a" * 256)),
        said(scope='{"system/*.rs": true}'),
        said(scope='["system/*.rs", 7]'),
        said(scope="null"),
        said(patient='{"reference": "Patient/p1"}'),
        said(patient='"Patient/p1"'),
        said(patient='"a\\u0000b"'),
        said(patient='"\\udc00"'),
        said(patient="true"),
    ],
)
def test_a_token_that_the_issuer_signed_and_that_says_nonsense_is_refused(
    verifier: TokenVerifier, payload: str
) -> None:
    with pytest.raises(Unauthorized):
        verifier.principal(signed(payload))


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"ES256","kid":' + DEEP + "}",
        DEEP,
        '{"alg":"ES256","kid":"ec","crit":["x"]}',
        '{"alg":"ES256","kid":"ec","crit":' + DEEP + "}",
        '{"alg":"ES256","kid":{}}',
        '{"alg":["ES256"],"kid":"ec"}',
        '{"alg":null,"kid":"ec"}',
        '{"kid":"ec"}',
        '{"alg":"ES256","kid":"ec","b64":false,"crit":["b64"]}',
        '{"alg":"ES256","kid":"ec","zip":"DEF","enc":"A128GCM"}',
        '"ES256"',
        "NaN",
    ],
)
def test_a_token_with_an_odd_header_is_refused(verifier: TokenVerifier, header: str) -> None:
    with pytest.raises(Unauthorized):
        verifier.principal(signed(said(), header))


def test_times_of_any_size_are_times(verifier: TokenVerifier) -> None:
    assert verifier.principal(signed(said(exp="9" * 300))).actor == "app-1"
    assert verifier.principal(signed(said(exp=str(START.timestamp() + 0.5)))).actor == "app-1"


def test_scopes_are_a_text_or_a_list_of_them(verifier: TokenVerifier) -> None:
    several = said(scope='["system/Goal.rs", "mainstay/sync"]')
    assert verifier.principal(signed(several)).scopes == "system/Goal.rs mainstay/sync"
