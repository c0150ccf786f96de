"""What the chart does to a record, and that it does it whole."""

import dataclasses
from typing import Any

import pytest

from fhir_mappings import exact_json
from fhir_mappings.records import CodeableConcept
from fhir_mappings.resources import BY_RESOURCE_TYPE
from service.chart import Chart, RecordVersion
from service.chart.queries import RecordQuery
from service.errors import Conflict, InvalidContent, NotFound, VersionConflict
from service.store.database import Database
from service.store.deployment import identifier_system
from tests import builders
from tests.clock import START, Clock
from tests.databases import connect, contents, links, outbox, patient


def record_of(entry: RecordVersion) -> Any:
    return BY_RESOURCE_TYPE[entry.resource_type].read(entry.tree)


def system_of(database: Database) -> str:
    with database.read() as session:
        return identifier_system(session)


@pytest.mark.parametrize("kind", builders.TREES)
def test_a_created_record_is_what_came_in_under_our_id_and_identifier(
    chart: Chart, database: Database, kind: str
) -> None:
    tree = builders.TREES[kind](patient(chart), id="theirs")

    entry = chart.create(tree, "nurse")

    identifier = {"system": system_of(database), "value": entry.id}
    expected = {
        **tree,
        "id": entry.id,
        "identifier": identifier if kind == "QuestionnaireResponse" else [identifier],
    }
    assert entry.tree == expected
    assert exact_json.dump(chart.get(kind, entry.id).tree) == entry.text
    assert (entry.version, entry.actor, entry.action, entry.updated_at) == (1, "nurse", "create", START)
    assert "7.50" in entry.text or kind != "Goal"


def test_an_identifier_that_a_form_has_already_stays(chart: Chart) -> None:
    identifier = {"system": "https://forms.example", "value": "9"}
    entry = chart.create(builders.questionnaire_response(patient(chart), identifier=identifier), "nurse")
    assert entry.tree["identifier"] == identifier


def test_a_copy_of_a_record_does_not_take_its_identifier(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    with pytest.raises(InvalidContent) as refusal:
        chart.create(entry.tree, "nurse")
    assert refusal.value.findings[0].path == "Goal.identifier[0]"


def test_a_record_keeps_its_id_and_identifier_when_it_is_loaded_again(chart: Chart) -> None:
    tree = builders.goal(patient(chart))
    entry = chart.create(tree, "nurse", record_id="goal.1")
    assert entry.id == "goal.1"
    with pytest.raises(Conflict):
        chart.create(tree, "nurse", record_id="goal.1")
    with pytest.raises(InvalidContent):
        chart.create(tree, "nurse", record_id="not an id")


def test_what_only_a_server_says_of_a_resource_is_not_kept(chart: Chart) -> None:
    meta = {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z", "tag": [{"code": "x"}]}
    tree = builders.goal(patient(chart), meta=meta)
    assert chart.create(tree, "nurse").tree["meta"] == {"tag": [{"code": "x"}]}
    del meta["tag"]
    assert "meta" not in chart.create(tree, "nurse").tree


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"lifecycleStatus": "finished"}, "Goal.lifecycleStatus"),
        ({"statusDate": "2025-02-30"}, "Goal.statusDate"),
        ({"target": [{"detailString": "far"}]}, "Goal.target[0]"),
        ({"subject": None}, "Goal.subject"),
        ({"resourceType": "Patient"}, "resourceType"),
    ],
)
def test_what_is_not_valid_is_refused_by_path(chart: Chart, changed: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidContent) as refusal:
        chart.create(builders.goal(patient(chart), **changed), "nurse")
    assert path in {finding.path for finding in refusal.value.findings}
    assert chart.find(RecordQuery(resource_type="Goal")).total == 0


def test_a_change_is_in_history_and_outbox_together_with_the_record(
    chart: Chart, database: Database, clock: Clock
) -> None:
    clinic = connect(database)
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    clock.advance(days=1)

    record = dataclasses.replace(record_of(entry), why_it_matters="The grandchildren")
    edited = chart.edit(entry.id, record, "jo", if_version=1)

    assert [(one.version, one.action, one.actor) for one in chart.history("Goal", entry.id)] == [
        (2, "update", "jo"),
        (1, "create", "nurse"),
    ]
    assert chart.version("Goal", entry.id, 1).text == entry.text
    assert chart.get("Goal", entry.id) == edited
    row = outbox(database)[entry.id, clinic]
    assert (row.generation, row.attempts, row.next_attempt_at) == (2, 0, clock())
    assert row.enqueued_at == START
    assert links(database)[entry.id, clinic].state == "pending"


def test_an_act_that_fails_at_its_last_step_leaves_nothing(chart: Chart, database: Database) -> None:
    connect(database)
    person = patient(chart)
    before = contents(database)

    def fail_at_the_end() -> None:
        with database.begin() as session:
            chart.create(builders.goal(person), "nurse", session=session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_at_the_end()
    assert contents(database) == before


def test_an_edit_that_changes_nothing_makes_no_version(chart: Chart, database: Database) -> None:
    clinic = connect(database)
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    assert chart.edit(entry.id, record_of(entry), "jo") == entry
    assert chart.replace(entry.id, entry.tree, "jo") == entry
    assert outbox(database)[entry.id, clinic].generation == 1


def test_a_number_written_otherwise_is_a_change(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    written = exact_json.parse(entry.text.replace("7.50", "7.5"))
    assert chart.replace(entry.id, written, "jo").version == 2


@pytest.mark.parametrize("act", ["edit", "replace", "withdraw"])
def test_another_version_than_the_current_one_is_refused(chart: Chart, act: str) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    chart.replace(entry.id, {**entry.tree, "statusReason": "Knee"}, "jo", if_version=1)
    given = {"edit": (record_of(entry),), "replace": (entry.tree,), "withdraw": ()}[act]
    with pytest.raises(VersionConflict):
        getattr(chart, act)(entry.id, *given, "jo", if_version=1)
    assert chart.get("Goal", entry.id).tree["statusReason"] == "Knee"


@pytest.mark.parametrize("kind", builders.TREES)
def test_withdrawal_says_entered_in_error_and_deletes_nothing(chart: Chart, kind: str) -> None:
    entry = chart.create(builders.TREES[kind](patient(chart)), "nurse")
    withdrawn = chart.withdraw(entry.id, "jo", if_version=1)

    element = "lifecycleStatus" if kind == "Goal" else "status"
    assert withdrawn.tree[element] == "entered-in-error"
    assert (withdrawn.status, withdrawn.action, withdrawn.version) == ("entered-in-error", "withdraw", 2)
    assert chart.version(kind, entry.id, 1).tree[element] == entry.tree[element]
    assert chart.withdraw(entry.id, "jo") == withdrawn


def test_a_withdrawn_record_is_changed_no_more(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    chart.withdraw(entry.id, "jo")
    with pytest.raises(Conflict, match="withdrawn"):
        chart.edit(entry.id, record_of(entry), "jo")
    with pytest.raises(Conflict, match="withdrawn"):
        chart.replace(entry.id, entry.tree, "jo")


def test_replacing_keeps_the_identity_of_a_record(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    bare = {name: value for name, value in entry.tree.items() if name not in ("id", "identifier")}
    replaced = chart.replace(entry.id, {**bare, "id": "other", "statusReason": "Knee"}, "jo")
    assert replaced.id == replaced.tree["id"] == entry.id
    assert replaced.tree["identifier"] == entry.tree["identifier"]


def test_an_edit_under_an_unknown_modifier_is_refused_by_name(chart: Chart) -> None:
    modifier = [{"url": "https://other.example/not-really", "valueBoolean": True}]
    entry = chart.create(builders.goal(patient(chart), modifierExtension=modifier), "nurse")
    record = dataclasses.replace(record_of(entry), statement="Something else")
    with pytest.raises(InvalidContent) as refusal:
        chart.edit(entry.id, record, "jo")
    assert "modifierExtension" in refusal.value.findings[0].path


def test_a_record_of_another_type_is_not_found(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    for act in (
        lambda: chart.get("CarePlan", entry.id),
        lambda: chart.version("Goal", entry.id, 2),
        lambda: chart.history("CarePlan", entry.id),
        lambda: chart.replace(entry.id, builders.care_plan(patient(chart)), "jo"),
        lambda: chart.withdraw("nobody", "jo"),
    ):
        with pytest.raises(NotFound):
            act()


def test_an_edit_moves_the_date_of_the_status(chart: Chart, clock: Clock) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    clock.advance(days=9)
    achieved = CodeableConcept(text="Achieved")
    edited = chart.edit(entry.id, dataclasses.replace(record_of(entry), achievement=achieved), "jo")
    assert edited.tree["statusDate"] == "2026-03-11"


def test_answers_may_stay_without_the_questionnaire_being_here(chart: Chart) -> None:
    entry = chart.create(builders.questionnaire_response(patient(chart)), "nurse")
    assert chart.find(RecordQuery(resource_type="QuestionnaireResponse")).entries == (entry,)


def test_a_questionnaire_is_known_by_url_and_version(chart: Chart, database: Database) -> None:
    connect(database)
    first = chart.create(builders.questionnaire(), "nurse")
    assert chart.create(builders.questionnaire(), "nurse") == first
    second = chart.create(builders.questionnaire(version="2"), "nurse")
    assert second.id != first.id
    with pytest.raises(Conflict):
        chart.create(builders.questionnaire(title="Other"), "nurse")
    with pytest.raises(InvalidContent) as refusal:
        chart.create(builders.questionnaire(url=None), "nurse")
    assert refusal.value.findings[0].path == "Questionnaire.url"
    with pytest.raises(InvalidContent):
        chart.replace(second.id, builders.questionnaire(version="3"), "nurse")
    assert chart.withdraw(first.id, "nurse").status == "retired"
    assert outbox(database) == {}
