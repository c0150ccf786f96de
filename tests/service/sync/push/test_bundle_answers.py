"""What an answer's entries say of what was sent: an outcome each, and no more than is said."""

from typing import Any

import pytest

from service.fhir_client.outcomes import Answered, Cause, Outcome, Refused, Unknown
from service.sync.push.bundles import Entry, answers

NAME = ("urn:test", "1")
GOAL = {"resourceType": "Goal", "identifier": [{"system": "urn:test", "value": "1"}]}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}

CREATE = Entry(record_id="record-1", tree=GOAL, name=NAME, conditional=True)
UPDATE = Entry(record_id="record-2", tree={**GOAL, "id": "7"}, replaces=True, version="1")


def answer(entry: Any, sent: Entry = CREATE) -> Outcome:
    (outcome,) = answers([sent], {"resourceType": "Bundle", "entry": [entry]})
    return outcome


@pytest.mark.parametrize(
    "response",
    [
        None,
        "201 Created",
        {},
        {"status": None},
        {"status": "created"},
        {"status": "0"},
        {"status": "100 Continue"},
        {"status": ["201"]},
    ],
)
def test_an_entry_that_does_not_say_what_became_of_it_leaves_that_unknown(response: Any) -> None:
    outcome = answer({"response": response, "resource": {**GOAL, "id": "1"}})
    assert isinstance(outcome, Unknown)
    # It is about the one record; whoever answers in Bundles speaks FHIR.
    assert outcome.cause is Cause.DROPPED


@pytest.mark.parametrize(
    "resource",
    [
        None,
        OUTCOME,
        {"id": "1"},
        {"resourceType": "Goal"},
        {"resourceType": "Goal", "id": "a/b"},
        "Goal/1",
        [],
    ],
)
def test_an_entry_that_does_not_show_the_resource_tells_where_it_is(resource: Any) -> None:
    response = {"status": "201 Created", "location": "Goal/1/_history/1", "etag": 'W/"1"'}
    outcome = answer({"response": response, "resource": resource})
    assert isinstance(outcome, Answered)
    assert (outcome.body, outcome.version, outcome.address and outcome.address.server_id) == (None, "1", "1")


@pytest.mark.parametrize("shown", [OUTCOME, None, "not found"])
def test_an_entry_that_is_refused_is_refused_by_a_fhir_server(shown: Any) -> None:
    outcome = answer({"response": {"status": "404", "outcome": shown}}, UPDATE)
    assert outcome == Refused(404, outcome=OUTCOME if shown is OUTCOME else None, in_bundle=True)
    assert isinstance(outcome, Refused)
    assert outcome.is_fhir


def test_an_update_without_a_version_is_an_update_and_names_none() -> None:
    entry = Entry(record_id="record-2", tree={**GOAL, "id": "7"}, replaces=True).as_tree()
    assert entry["request"] == {"method": "PUT", "url": "Goal/7"}
    assert UPDATE.as_tree()["request"] == {"method": "PUT", "url": "Goal/7", "ifMatch": 'W/"1"'}
    assert CREATE.as_tree()["request"]["method"] == "POST"
