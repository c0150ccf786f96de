"""A client of the app for tests: verbs with JSON in and out, and tokens of an issuer of the test's own."""

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from fhir_mappings import exact_json
from tests.clock import START

ISSUER = "https://issuer.example"
AUDIENCE = "https://mainstay.example"
JWKS_URL = "https://issuer.example/keys"
ALL_SCOPES = "system/*.cruds mainstay/sync"

_KEY = ECKey.generate_key("P-256", {"kid": "test"})
GUARDED = {"auth_issuer": ISSUER, "auth_audience": AUDIENCE, "auth_jwks_url": JWKS_URL}


def published_keys(url):
    assert url == JWKS_URL
    return KeySet([_KEY]).as_dict()


def token(scope=ALL_SCOPES, patient=None, sub="app-1", now=START):
    at = int(now.timestamp())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": at, "exp": at + 3600, "scope": scope}
    if patient is not None:
        claims["patient"] = patient
    return jwt.encode({"alg": "ES256", "kid": "test"}, claims, _KEY, algorithms=["ES256"])


class Answer:
    """What came back: status, headers, the parsed body, and the text as it was."""

    def __init__(self, response):
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.get_data(as_text=True)
        self.type = response.mimetype
        self.json = exact_json.parse(self.text) if self.type.endswith("json") else None

    @property
    def etag(self):
        return self.headers["ETag"]

    @property
    def paths(self):
        """The paths that an OperationOutcome names."""
        return [path for issue in self.json["issue"] for path in issue.get("expression", [""])]

    def __repr__(self):
        return f"<{self.status} {self.text[:2000]}>"


class Api:
    """Speaks to an app as one principal does."""

    def __init__(self, app, bearer=None):
        self._client = app.test_client()
        self._bearer = bearer

    def get(self, path, **headers):
        return self.send("GET", path, headers=headers)

    def post(self, path, body=None, **headers):
        return self.send("POST", path, body, headers)

    def put(self, path, body, **headers):
        return self.send("PUT", path, body, headers)

    def send(self, method, path, body=None, headers=None):
        headers = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        if body is not None and not isinstance(body, str | bytes):
            body = exact_json.dump(body)
        if body is not None and "Content-Type" not in headers:
            fhir = path.startswith("/fhir")
            headers["Content-Type"] = "application/fhir+json" if fhir else "application/json"
        return Answer(self._client.open(path, method=method, data=body, headers=headers))

    def register(self, value="MS-1"):
        """Register a patient, and return our id of them."""
        body = {"identifiers": [{"system": "https://clinic.example/patients", "value": value}]}
        answer = self.post("/api/v1/patients", body)
        assert answer.status == 201, answer
        return answer.json["id"]


def goal(patient, **fields):
    """A goal's record JSON."""
    return {
        "type": "Goal",
        "status": "active",
        "statement": "Walk to the lake",
        "subject": {"reference": f"Patient/{patient}"},
        **fields,
    }


def fhir_goal(patient, **elements):
    """A Goal resource."""
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk to the lake"},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }
