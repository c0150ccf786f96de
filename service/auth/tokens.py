"""Bearer tokens: a JWT signed with a key of the issuer's published set, for this audience, in its time."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from fhir_mappings.errors import Finding
from service.auth.keys import KeySource
from service.auth.principal import Principal
from service.errors import Unauthorized, Unavailable

#: Asymmetric only: with "none" or HS256, anyone who knows the public key could sign.
ALGORITHMS = ("RS256", "RS384", "ES256", "ES384")
LEEWAY_SECONDS = 30

#: How many tokens' signatures are remembered at once.
REMEMBERED = 1000

#: It is kept in the history, as text that every database can hold: no controls, no halves of characters.
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
#: Our id of a patient, https://hl7.org/fhir/R4/datatypes.html#id
_PATIENT = re.compile(r"[A-Za-z0-9.\-]{1,64}")

_log = logging.getLogger(__name__)


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

    def prepare(self) -> None:
        """Begin to fetch the issuer's keys, so that the first who asks need not wait for them."""
        self._keys.refresh()

    def principal(self, authorization: str | None) -> Principal:
        """Return who asks. Raises Unauthorized, which tells no more than that the token does not count."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized([Finding("", "send a bearer token in the Authorization header")])
        return _principal(self._verified(token.strip()))

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            return self._claims(token)
        except Unavailable:
            raise
        except (JoseError, ValueError, TypeError):
            # What joserfc raises for headers, claims and keys of a wrong shape.
            raise _refused() from None
        except Exception as error:
            # A stranger wrote the token: whatever else it brings about in a library, it is no token of ours.
            _log.info("a token was not read", exc_info=error)
            raise _refused() from None

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims = self._signed_with(self._keys.keys()).claims(token)
        except InvalidKeyIdError:
            claims = self._signed_with(self._keys.newer_keys()).claims(token)
        self._registry.validate(claims)
        return claims

    def _signed_with(self, keys: KeySet) -> _Signed:
        # Each fetch makes a new set, under which no signature has been verified yet.
        signed = self._signed
        if signed.keys is not keys:
            signed = self._signed = _Signed(keys)
        return signed


def _principal(claims: dict[str, Any]) -> Principal:
    """Return whom claims name. Raises Unauthorized where they say that in a way that can't be kept."""
    subject, scopes, patient = claims["sub"], claims.get("scope", ""), claims.get("patient")
    if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
        scopes = " ".join(scopes)
    if not isinstance(scopes, str) or _SUBJECT.fullmatch(subject) is None:
        raise _refused()
    if patient is not None and not (isinstance(patient, str) and _PATIENT.fullmatch(patient)):
        raise _refused()
    return Principal(subject, scopes, patient)


def _refused() -> Unauthorized:
    return Unauthorized([Finding("", "the bearer token is not valid here, or no longer")])
