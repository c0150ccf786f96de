"""Bearer tokens: a JWT signed with a key of the issuer's published set, for this audience, in its time."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from fhir_mappings.errors import Finding
from service.auth.principal import Principal
from service.errors import Unauthorized, Unavailable

#: Asymmetric only: with "none" or HS256, anyone who knows the public key could sign.
ALGORITHMS = ("RS256", "RS384", "ES256", "ES384")
LEEWAY_SECONDS = 30

#: How many tokens' signatures are remembered at once.
REMEMBERED = 1000

_log = logging.getLogger(__name__)


class KeySource:
    """The issuer's public keys, fetched when needed, and again when a token names an unknown one.

    Asked anew at most once per ``min_interval``, or anyone could make us hammer the issuer with
    invented key ids; and after ``max_age``, so that a withdrawn key ends to count.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Any],
        clock: Callable[[], datetime],
        *,
        min_interval: timedelta = timedelta(seconds=30),
        max_age: timedelta = timedelta(hours=1),
    ) -> None:
        self._url, self._fetch, self._clock = url, fetch, clock
        self._min_interval, self._max_age = min_interval, max_age
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def keys(self) -> KeySet:
        """Return the current keys. Raises Unavailable if they cannot be had."""
        with self._lock:
            if self._keys is None or self._older(self._fetched_at, self._max_age):
                self._refresh()
            if self._keys is None:
                raise Unavailable([Finding("", "the keys that tokens are signed with cannot be fetched now")])
            return self._keys

    def newer_keys(self) -> KeySet:
        """Return the keys after another look, unless the last one was a moment ago."""
        with self._lock:
            self._refresh()
        return self.keys()

    def _refresh(self) -> None:
        if not self._older(self._tried_at, self._min_interval):
            return
        self._tried_at = self._clock()
        try:
            self._keys = KeySet.import_key_set(self._fetch(self._url))
        except Exception as error:
            # Whatever keeps the issuer from answering, the keys that we have still hold for a while.
            _log.warning("signing keys not fetched: %s", type(error).__name__)
            if self._older(self._fetched_at, 24 * self._max_age):
                self._keys = None
        else:
            self._fetched_at = self._tried_at

    def _older(self, at: datetime | None, age: timedelta) -> bool:
        return at is None or self._clock() - at >= age


@dataclass(frozen=True)
class _Signed:
    """What tokens claim whose signatures hold under these keys; a client sends the same one many times.

    A signature that held holds: whether a token counts, now and here, is asked anew each time.
    """

    keys: KeySet
    _claims: dict[bytes, dict[str, Any]] = field(default_factory=dict, repr=False)

    def claims(self, token: str) -> dict[str, Any]:
        """Return what a token claims. Raises JoseError, ValueError, TypeError unless these keys signed it."""
        # Tokens themselves are not kept: who could read them here could use them.
        digest = sha256(token.encode()).digest()
        claims = self._claims.get(digest)
        if claims is None:
            claims = jwt.decode(token, self.keys, algorithms=ALGORITHMS).claims
            if len(self._claims) >= REMEMBERED:
                self._claims.clear()
            self._claims[digest] = claims
        return claims


class TokenVerifier:
    """Turns the Authorization header into a Principal."""

    def __init__(self, issuer: str, audience: str, keys: KeySource, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._signed = _Signed(KeySet([]))
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def principal(self, authorization: str | None) -> Principal:
        """Return who asks. Raises Unauthorized, which tells no more than that the token does not count."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized([Finding("", "send a bearer token in the Authorization header")])
        claims = self._verified(token.strip())
        scopes, patient = claims.get("scope", ""), claims.get("patient")
        if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
            scopes = " ".join(scopes)
        if not isinstance(scopes, str) or not (patient is None or (isinstance(patient, str) and patient)):
            raise _refused()
        return Principal(claims["sub"], scopes, patient)

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            try:
                claims = self._signed_with(self._keys.keys()).claims(token)
            except InvalidKeyIdError:
                claims = self._signed_with(self._keys.newer_keys()).claims(token)
            self._registry.validate(claims)
        # joserfc raises ValueError and TypeError for headers and keys of a wrong shape.
        except (JoseError, ValueError, TypeError):
            raise _refused() from None
        return claims

    def _signed_with(self, keys: KeySet) -> _Signed:
        # Each fetch makes a new set, under which no signature has been verified yet.
        signed = self._signed
        if signed.keys is not keys:
            signed = self._signed = _Signed(keys)
        return signed


def _refused() -> Unauthorized:
    return Unauthorized([Finding("", "the bearer token is not valid here, or no longer")])
