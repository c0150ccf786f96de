"""Nothing in the logs, at any level, holds what a person said, what they are called, or a token."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from service import logs
from service.app import create_app
from service.config import Config
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, fhir_goal, goal, published_keys, token

#: What was logged, and what makes every logger loud.
Logged = tuple[io.StringIO, Callable[[], None]]

SEEDED = {
    "statement": "SEEDED-STATEMENT",
    "answer": "SEEDED-ANSWER",
    "name": "SEEDED-NAME",
    "identifier": "SEEDED-IDENTIFIER",
    "subject": "SEEDED-SUBJECT-OF-TOKEN",
}


@pytest.fixture
def everything_logged() -> Iterator[Logged]:
    """Every logger of every library at DEBUG, into our handler, as loud as an operator can make it."""
    stream = io.StringIO()
    before = {name: logger.level for name, logger in logging.root.manager.loggerDict.items() if _real(logger)}
    yield stream, lambda: _loud(stream)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    logging.root.handlers.clear()


def _real(logger: object) -> TypeGuard[logging.Logger]:
    return isinstance(logger, logging.Logger)


def _loud(stream: io.StringIO) -> None:
    logs.configure("DEBUG", "json", stream)
    for name in [n for n, logger in logging.root.manager.loggerDict.items() if _real(logger)]:
        logging.getLogger(name).setLevel(logging.DEBUG)


def test_a_whole_flow_with_its_errors_leaves_nothing_of_a_person_in_the_logs(
    tmp_path: Path, clock: Clock, everything_logged: Logged
) -> None:
    stream, be_loud = everything_logged
    database = Database(f"sqlite:///{tmp_path / 'mainstay.db'}")
    database.upgrade()
    app = create_app(
        Config(**GUARDED, log_level="DEBUG"), database=database, clock=clock, fetch_keys=published_keys
    )
    be_loud()
    bearer = token(sub=SEEDED["subject"])
    api = Api(app, bearer)
    walk(api)
    app.extensions["mainstay"].sync.add_connection("clinic", "http://127.0.0.1:9/fhir")
    assert api.post("/api/v1/sync/run", {}).status == 200
    Api(app, bearer + "x").get(f"/fhir/Goal?identifier=s|{SEEDED['identifier']}")
    logged = stream.getvalue()
    assert logged.count("request answered") > 10
    assert "a library gave a warning" in logged or "urllib3" not in logged
    for word in (*SEEDED.values(), bearer, bearer.split(".")[1]):
        assert word not in logged


def walk(api: Api) -> None:
    """Create, read, search, fail: with seeded words in every place that a person's can be."""
    patient = api.register(SEEDED["identifier"])
    display = {"reference": f"Patient/{patient}", "display": SEEDED["name"]}
    created = api.post("/api/v1/goals", goal(patient, statement=SEEDED["statement"], subject=display))
    assert created.status == 201
    answers = {
        "type": "QuestionnaireResponse",
        "status": "completed",
        "subject": display,
        "items": [{"link_id": "1", "answers": [{"value": {"string": SEEDED["answer"]}}]}],
    }
    assert api.post("/api/v1/questionnaire-responses", answers).status == 201
    query = f"identifier=https://clinic.example/patients|{SEEDED['identifier']}"
    assert api.get(f"/fhir/Patient?{query}").status == 200
    refusals = [
        api.post("/api/v1/goals", goal(patient, statement=[SEEDED["statement"]])),
        api.post("/api/v1/goals", goal(patient, status=SEEDED["statement"])),
        api.post("/api/v1/goals", '{"statement": "' + SEEDED["statement"]),
        api.post("/fhir/Goal", fhir_goal(patient, lifecycleStatus=SEEDED["statement"])),
        api.post("/fhir/Goal", fhir_goal(SEEDED["name"])),
        api.put(
            f"/fhir/Goal/{created.json['id']}", fhir_goal(patient, id=created.json["id"]), If_Match='W/"7"'
        ),
        api.get(f"/fhir/Goal?colour={SEEDED['name']}"),
        api.get(f"/api/v1/goals?limit={SEEDED['name']}"),
        api.get(f"/fhir/Goal/{SEEDED['name']}"),
        api.get(f"/nowhere/{SEEDED['name']}"),
    ]
    for refusal in refusals:
        assert 400 <= refusal.status < 500
        assert not any(word in refusal.text for word in SEEDED.values()), refusal


@pytest.mark.parametrize(
    "name", ["sqlalchemy.engine.Engine", "urllib3.connectionpool", "werkzeug", "flask.app"]
)
def test_what_a_library_says_is_not_repeated(name: str, everything_logged: Logged) -> None:
    stream, be_loud = everything_logged
    be_loud()
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.WARNING, logging.ERROR):
        logger.log(level, "parameters: %s", SEEDED["statement"], extra={"body": SEEDED["answer"]})
    try:
        raise ValueError(SEEDED["name"])
    except ValueError:
        logger.exception("failed with %s", SEEDED["statement"])
    assert stream.getvalue().count("a library gave a warning") == 3
    assert "ValueError" in stream.getvalue()
    assert not any(word in stream.getvalue() for word in SEEDED.values())


def test_our_own_lines_can_hold_named_fields_only(everything_logged: Logged) -> None:
    stream, be_loud = everything_logged
    be_loud()
    logs.get("service.test").warning("something happened", record_id="r1", statement=SEEDED["statement"])
    assert '"record_id": "r1"' in stream.getvalue()
    assert SEEDED["statement"] not in stream.getvalue()
