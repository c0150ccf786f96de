"""Bearer tokens: which are believed, and how often the issuer is asked for its keys."""

import base64
import hmac
import json
from datetime import datetime, timedelta, timezone

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from service.auth import KeySource, TokenVerifier
from service.errors import Unauthorized, Unavailable

ISSUER, AUDIENCE, URL = "https://issuer.example", "https://mainstay.example", "https://issuer.example/keys"
START = datetime(2026, 11, 23, 21, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
NEW = ECKey.generate_key("P-256", {"kid": "new"})


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Issuer:
    def __init__(self, *keys):
        self.keys = keys
        self.asked = 0

    def __call__(self, url):
        assert url == URL
        self.asked += 1
        if not self.keys:
            raise OSError("down")
        return KeySet(list(self.keys)).as_dict()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer():
    return Issuer(RSA, EC)


@pytest.fixture
def verifier(issuer, clock):
    return TokenVerifier(ISSUER, AUDIENCE, KeySource(URL, issuer, clock), clock)


def claims(**changed):
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


def bearer(key=RSA, alg="RS256", header=None, **changed):
    token = jwt.encode(
        {"alg": alg, "kid": key.kid, **(header or {})},
        claims(**changed),
        key,
        algorithms=[alg],
        default_type="JWT",
    )
    return f"Bearer {token}"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def handmade(alg, sign):
    """A token that no library would make: unsigned, or signed with the public key as a secret."""
    signed = part({"alg": alg, "kid": "rsa"}) + b"." + part(claims())
    return "Bearer " + (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


def hmac_by_public_key(signed):
    return hmac.digest(RSA.as_pem(private=False), signed, "sha256")


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "RS384"), (EC, "ES256")])
def test_a_token_of_the_issuer_says_who_asks_and_for_what(verifier, key, alg):
    principal = verifier.principal(bearer(key, alg, patient="p1"))
    assert (principal.actor, principal.scopes, principal.patient) == ("app-1", "system/*.rs", "p1")


def test_one_audience_among_several_is_enough(verifier):
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
def test_a_token_with_a_wrong_claim_is_refused(verifier, changed):
    with pytest.raises(Unauthorized):
        verifier.principal(bearer(**changed))


def test_a_clock_that_is_a_little_off_is_forgiven(verifier):
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
def test_what_is_no_token_of_the_issuer_is_refused(verifier, authorization):
    with pytest.raises(Unauthorized):
        verifier.principal(authorization)


def test_the_keys_are_fetched_once_for_many_tokens(verifier, issuer):
    for _ in range(5):
        verifier.principal(bearer())
    assert issuer.asked == 1


def test_a_new_key_of_the_issuer_is_found_and_invented_ones_do_not_make_us_ask_again(verifier, issuer, clock):
    verifier.principal(bearer())
    issuer.keys = (NEW,)
    clock.now += timedelta(seconds=31)
    assert verifier.principal(bearer(NEW, "ES256")).actor == "app-1"
    for _ in range(5):
        with pytest.raises(Unauthorized):
            verifier.principal(bearer(STRANGER, header={"kid": "invented"}))
    assert issuer.asked == 2


def test_a_key_that_the_issuer_withdrew_ends_to_count(verifier, issuer, clock):
    verifier.principal(bearer())
    issuer.keys = (NEW,)
    clock.now += timedelta(hours=1)
    with pytest.raises(Unauthorized):
        verifier.principal(bearer(exp=int(clock.now.timestamp()) + 60))


def test_a_token_that_was_good_a_moment_ago_ends_with_its_time(verifier, clock):
    token = bearer()
    verifier.principal(token)
    clock.now += timedelta(seconds=331)
    with pytest.raises(Unauthorized):
        verifier.principal(token)


def test_a_token_that_was_good_a_moment_ago_ends_with_its_key(verifier, issuer, clock):
    token = bearer(exp=int(START.timestamp()) + 86_400)
    verifier.principal(token)
    issuer.keys = (NEW,)
    clock.now += timedelta(hours=1)
    with pytest.raises(Unauthorized):
        verifier.principal(token)


def test_a_token_that_was_good_does_not_vouch_for_one_like_it(verifier):
    token = bearer()
    verifier.principal(token)
    start, claimed, signature = token.split(".")
    other = part(claims(sub="somebody-else")).decode()
    assert claimed != other
    with pytest.raises(Unauthorized):
        verifier.principal(f"{start}.{other}.{signature}")


def test_while_the_issuer_is_down_known_keys_serve_on(verifier, issuer, clock):
    verifier.principal(bearer())
    issuer.keys = ()
    clock.now += timedelta(hours=2)
    assert verifier.principal(bearer(exp=int(clock.now.timestamp()) + 60)).actor == "app-1"


def test_without_any_keys_the_answer_is_to_try_later(verifier, issuer):
    issuer.keys = ()
    with pytest.raises(Unavailable):
        verifier.principal(bearer())
