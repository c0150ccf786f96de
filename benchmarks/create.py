"""API create against a bare Flask view that writes the same rows with the same durability.

One server is connected, as in life: a create writes record, identifier, history, outbox and link.
"""

import itertools
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from flask import Flask, jsonify, request
from joserfc import jwk, jwt
from sqlalchemy import Table, insert

from benchmarks.timing import side_by_side
from service.app import create_app
from service.config import Config
from service.store import tables
from service.store.database import Database, Session

CREATES = 100
ISSUER, AUDIENCE = "https://issuer.example", "mainstay"
AUTH: dict[str, Any] = {
    "auth_issuer": ISSUER,
    "auth_audience": AUDIENCE,
    "auth_jwks_url": f"{ISSUER}/keys",
}


def run() -> Iterator[str]:
    """Yield the ratios, with and without authentication; the border guard is on in both."""
    with tempfile.TemporaryDirectory() as folder:
        plain = _api(Path(folder) / "plain.db")
        guarded = _api(Path(folder) / "guarded.db", secured=True)
        bare = _bare(Path(folder) / "bare.db")
        result = side_by_side({"plain": plain, "secured": guarded, "bare": bare})
    for name, said in (("plain", "without authentication"), ("secured", "with authentication")):
        yield f"API create, with guard, {said}: {result.speed(name, against='bare'):.2f} x a bare Flask view"


def _record(patient_id: str) -> dict[str, Any]:
    return {
        "type": "Goal",
        "status": "active",
        "statement": "Walk round the lake with my granddaughter",
        "why_it_matters": "She tells me things on the way.",
        "subject": {"reference": f"Patient/{patient_id}"},
        "targets": [{"measure": {"text": "Steps"}, "detail": {"Quantity": {"value": 7500, "unit": "steps"}}}],
    }


def _api(path: Path, *, secured: bool = False) -> Callable[[], None]:
    key = jwk.RSAKey.generate_key(2048, {"kid": "k"})
    config = Config(database_url=f"sqlite:///{path}", log_level="WARNING", **(AUTH if secured else {}))
    database = Database(config.database_url)
    database.upgrade()
    app = create_app(config, database=database, fetch_keys=lambda _: {"keys": [key.as_dict(private=False)]})
    app.extensions["mainstay"].sync.add_connection("ehr", "http://127.0.0.1:9/fhir")
    patient = app.extensions["mainstay"].chart.register_patient([("urn:x", "1")], "benchmark")
    client, body = app.test_client(), json.dumps(_record(patient.id)).encode()
    headers = {"Content-Type": "application/json"}
    if secured:
        headers["Authorization"] = f"Bearer {_token(key)}"
    return lambda: _post(client, "/api/v1/goals", body, headers)


def _token(key: jwk.RSAKey) -> str:
    expires = int(time.time()) + 3600
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench", "scope": "system/*.cruds", "exp": expires}
    return jwt.encode({"alg": "RS256", "kid": "k"}, claims, key)


def _bare(path: Path) -> Callable[[], None]:
    """A view that parses the body and writes the rows that a create writes, one transaction each."""
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    app = Flask("bare")
    now = datetime.now(UTC)
    with database.begin() as session:
        session.execute(insert(tables.Patient).values(id="p", created_at=now, created_by="b"))
        session.execute(insert(tables.Connection).values(id="c", name="c", base_url="urn:c", created_at=now))

    @app.post("/goals")
    def create() -> Any:
        record = request.get_json()
        with database.begin() as session:
            _insert_rows(session, json.dumps(record))
        return jsonify(record), 201

    client, body = app.test_client(), json.dumps(_record("p")).encode()
    return lambda: _post(client, "/goals", body, {"Content-Type": "application/json"})


# Statements made once, as a view that cares for speed would have them.
_RECORD = insert(cast("Table", tables.Record.__table__))
_IDENTIFIER = insert(cast("Table", tables.RecordIdentifier.__table__))
_VERSION = insert(cast("Table", tables.Version.__table__))
_OUTBOX = insert(cast("Table", tables.OutboxRow.__table__))
_LINK = insert(cast("Table", tables.Link.__table__))


def _insert_rows(session: Session, tree: str) -> None:
    id_, now = str(uuid.uuid4()), datetime.now(UTC)
    record = {"id": id_, "resource_type": "Goal", "patient_id": "p", "created_at": now, "updated_at": now}
    version = {"record_id": id_, "actor": "b", "action": "create", "at": now}
    common = {"version": 1, "status": "active", "tree": tree}
    session.execute(_RECORD, {**record, **common})
    session.execute(_IDENTIFIER, {"record_id": id_, "system": "s", "value": id_})
    session.execute(_VERSION, {**version, **common})
    of = {"record_id": id_, "connection_id": "c"}
    due = {"generation": 1, "enqueued_at": now, "attempts": 0, "next_attempt_at": now}
    session.execute(_OUTBOX, {**of, **due})
    session.execute(_LINK, {**of, "resource_type": "Goal", "state": "pending", "updated_at": now})


def _post(client: Any, path: str, body: bytes, headers: dict[str, str]) -> None:
    for _ in itertools.repeat(None, CREATES):
        answer = client.post(path, data=body, headers=headers)
        if answer.status_code != 201:
            raise AssertionError(f"{path} answered {answer.status_code}")
