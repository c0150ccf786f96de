"""A client of the app for tests: verbs with JSON in and out, and tokens of an issuer of the test's own."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypedDict

from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from werkzeug.test import TestResponse

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from tests.clock import START

ISSUER = "https://issuer.example"
AUDIENCE = "https://mainstay.example"
JWKS_URL = "https://issuer.example/keys"
ALL_SCOPES = "system/*.cruds mainstay/sync"

_KEY = ECKey.generate_key("P-256", {"kid": "test"})


class Issued(TypedDict):
    """The settings of a service that asks for tokens of the issuer."""

    auth_issuer: str
    auth_audience: str
    auth_jwks_url: str


GUARDED: Issued = {"auth_issuer": ISSUER, "auth_audience": AUDIENCE, "auth_jwks_url": JWKS_URL}


def published_keys(url: str) -> Any:
    assert url == JWKS_URL
    return KeySet([_KEY]).as_dict()


def token(
    scope: str = ALL_SCOPES, patient: str | None = None, sub: str = "app-1", now: datetime = START
) -> str:
    at = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": sub,
        "iat": at,
        "exp": at + 3600,
        "scope": scope,
    }
    if patient is not None:
        claims["patient"] = patient
    return jwt.encode({"alg": "ES256", "kid": "test"}, claims, _KEY, algorithms=["ES256"])


class Answer:
    """What came back: status, headers, the parsed body, and the text as it was."""

    def __init__(self, response: TestResponse) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.get_data(as_text=True)
        self.type = response.mimetype or ""
        self.json: Any = exact_json.parse(self.text) if self.type.endswith("json") else None

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def paths(self) -> list[str]:
        """The paths that an OperationOutcome names."""
        return [path for issue in self.json["issue"] for path in issue.get("expression", [""])]

    def __repr__(self) -> str:
        return f"<{self.status} {self.text[:2000]}>"


class Api:
    """Speaks to an app as one principal does."""

    def __init__(self, app: Flask, bearer: str | None = None) -> None:
        self._client = app.test_client()
        self._bearer = bearer

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("POST", path, body, headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PUT", path, body, headers)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        if body is not None and not isinstance(body, str | bytes):
            body = exact_json.dump(body)
        if body is not None and "Content-Type" not in headers:
            fhir = path.startswith("/fhir")
            headers["Content-Type"] = "application/fhir+json" if fhir else "application/json"
        return Answer(self._client.open(path, method=method, data=body, headers=headers))

    def register(self, value: str = "MS-1") -> str:
        """Register a patient, and return our id of them."""
        body = {"identifiers": [{"system": "https://clinic.example/patients", "value": value}]}
        answer = self.post("/api/v1/patients", body)
        assert answer.status == 201, answer
        patient_id: str = answer.json["id"]
        return patient_id


#: Makes the Api of whoever has a token with the claims given, as ``token`` takes them.
AsPrincipal = Callable[..., Api]


def goal(patient: str, **fields: Any) -> Tree:
    """A goal's record JSON."""
    return {
        "type": "Goal",
        "status": "active",
        "statement": "Walk to the lake",
        "subject": {"reference": f"Patient/{patient}"},
        **fields,
    }


def fhir_goal(patient: str, **elements: Any) -> Tree:
    """A Goal resource."""
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk to the lake"},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }
