"""The table of kinds: what every row has to have beside it, and that the rows say what is so."""

import pytest

from fhir_mappings import r4
from service import record_types, schemas
from service.chart import rules, trees
from service.record_types import RecordType
from service.routes.fhir.openapi_parts import EXAMPLES as RESOURCES
from service.routes.openapi_parts import EXAMPLES
from tests import builders, foreign

KINDS = pytest.mark.parametrize("kind", record_types.ALL, ids=lambda kind: kind.resource_type)
WITH_WORDS = pytest.mark.parametrize("kind", record_types.IN_OUR_WORDS, ids=lambda kind: kind.name)


@KINDS
def test_each_kind_has_a_valid_example_and_a_builder(kind: RecordType) -> None:
    builder = builders.TREES.get(kind.resource_type, builders.questionnaire)
    for tree in (RESOURCES[kind.resource_type], builder()):
        assert tree["resourceType"] == kind.resource_type
        assert r4.check(dict(tree)) == []


@WITH_WORDS
def test_each_kind_has_an_example_in_our_words_and_a_strategy(kind: RecordType) -> None:
    assert kind.mapping is not None
    record = schemas.load(dict(EXAMPLES[kind.name]))
    assert r4.check(kind.mapping.write(record)) == []
    assert kind.resource_type in foreign.STRATEGIES


@WITH_WORDS
def test_a_withdrawn_record_says_so_in_the_element_of_its_row(kind: RecordType) -> None:
    assert kind.mapping is not None
    record = kind.mapping.read(builders.TREES[kind.resource_type]())
    assert trees.status(kind.mapping.write(rules.withdrawn(record))) == trees.WITHDRAWN


def test_all_but_forms_are_about_a_patient() -> None:
    assert {kind.resource_type for kind in record_types.ALL if not kind.is_of_patient} == {"Questionnaire"}


def test_no_two_kinds_share_a_path_or_a_name() -> None:
    assert len({kind.path for kind in record_types.ALL}) == len(record_types.ALL)
    assert len(record_types.BY_NAME) == len(record_types.ALL)


@KINDS
def test_what_a_kind_may_refer_to_is_sent_before_it(kind: RecordType) -> None:
    order = [one.resource_type for one in record_types.ALL]
    named = {"CarePlan": {"Goal", "ServiceRequest"}, "QuestionnaireResponse": {"CarePlan", "Questionnaire"}}
    before = set(order[: order.index(kind.resource_type)])
    assert named.get(kind.resource_type, set()) <= before
