"""A refusal is said as an OperationOutcome, with all its findings."""

import pytest

from fhir_mappings import r4
from fhir_mappings.errors import Finding
from service import errors
from service.errors import InvalidContent, NotFound, ServiceError

KINDS = ServiceError.__subclasses__()


def test_every_finding_becomes_an_issue_with_its_path() -> None:
    refusal = InvalidContent(
        [Finding("Goal.lifecycleStatus", "is missing", "required"), Finding("", "is not allowed")]
    )
    assert refusal.outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "is missing",
                "expression": ["Goal.lifecycleStatus"],
            },
            {"severity": "error", "code": "invalid", "diagnostics": "is not allowed"},
        ],
    }
    assert str(refusal) == "Goal.lifecycleStatus: is missing; is not allowed"


def test_a_sentence_becomes_a_finding_under_the_kind_s_own_code() -> None:
    assert NotFound("There is no such record").findings == [
        Finding("", "There is no such record", "not-found")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_status_of_its_own_a_valid_code_and_a_place_in_the_tree(
    kind: type[ServiceError],
) -> None:
    assert [other for other in KINDS if other.status == kind.status] == [kind]
    assert r4.check(kind("no").outcome) == []
    lines = [line for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in line]
    assert len(lines) == 1
    assert str(kind.status) in lines[0]
