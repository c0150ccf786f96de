"""A real R4 server agrees with the guard: on what others may write, and on what nobody may."""

import collections
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

from fhir_mappings import exact_json
from tests import foreign
from tests.fhir_mappings.r4.test_guard import INVALID, VALID

#: Rules of the validator that R4 itself does not have, by message id, with the reason for setting them aside.
NOISE = {
    # A required status may be absent with the reason in its extension; the validator wants a code to look up.
    "Terminology_TX_Code_ValueSet_MISSING": "terminology: a code given by its extension alone",
    # R4's regex for time allows fractions of a second (datatypes.html#time); the validator does not.
    "Type_Specific_Checks_DT_Time_Valid": "a time with fractions of a second",
}


def errors(hapi: str, tree: dict[str, Any]) -> list[str]:
    """Return what $validate has against a resource, noise aside."""
    answer = requests.post(
        f"{hapi}/{tree['resourceType']}/$validate",
        data=exact_json.dump(tree).encode(),
        headers={"Content-Type": "application/fhir+json"},
        timeout=60,
    )
    return [
        issue["diagnostics"]
        for issue in answer.json()["issue"]
        if issue["severity"] in ("error", "fatal") and rule(issue) not in NOISE
    ]


def rule(issue: dict[str, Any]) -> str | None:
    codings = issue.get("details", {}).get("coding", [])
    return codings[0].get("code") if codings else None


@pytest.mark.parametrize("name", foreign.STRATEGIES)
def test_the_server_accepts_what_the_generator_makes(hapi: str, name: str) -> None:
    seen: collections.Counter[str] = collections.Counter()

    @settings(max_examples=40, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(foreign.of_type(name, modifiers=True))
    def accepted(tree: dict[str, Any]) -> None:
        seen.update(tree.keys())
        assert errors(hapi, tree) == []

    accepted()
    assert len(seen) > 10


#: What the validator refuses although R4 allows it, or cannot say.
_SERVER_IS_STRICTER = {
    "a period within one month": "it takes a month for its first day",
    "a period from a time to its day": "it takes a day for its first moment",
    "a range of two units": "it cannot convert units that name no system",
    "a conditional reference": "only within a transaction",
}


@pytest.mark.parametrize("case", sorted(VALID.keys() - _SERVER_IS_STRICTER.keys()))
def test_the_server_accepts_what_the_guard_accepts(hapi: str, case: str) -> None:
    assert errors(hapi, VALID[case]) == []


#: What the guard refuses by the text of R4, and the validator does not look at.
_SERVER_IS_LAXER = {
    "an id alone": "ele-1",
    "a wrong kind by type": "the type of a logical reference",
    "a kind that R4 has not": "it leaves references alone that it cannot resolve",
    "a wrong kind of subject": "it leaves references alone that it cannot resolve",
    "a wrong kind there": "it leaves references alone that it cannot resolve",
    "base64 with a blank within four": "it takes white space anywhere",
    "blank base64": "the same",
    "hour 24": "its message id for a time is among the noise",
}


@pytest.mark.parametrize(
    "case",
    [
        case
        for case, (tree, _) in INVALID.items()
        if isinstance(tree, dict)
        and tree.get("resourceType") in ("Goal", "Questionnaire")
        and case not in _SERVER_IS_LAXER
    ],
)
def test_the_server_refuses_what_the_guard_refuses(hapi: str, case: str) -> None:
    assert errors(hapi, INVALID[case][0])
