"""The law held against rows that are there: all of a backup, a sample for the doctor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import audit
from service.errors import InvalidInput
from service.store import tables
from service.store.backup import backup, restore
from service.store.database import Database
from service.store.deployment import identifier_system
from tests import builders
from tests.clock import Clock
from tests.databases import contents, opened
from tests.service.chart.persons import BOBS, Town, identifier


@pytest.fixture
def town(database: Database, clock: Clock) -> Town:
    return Town(database, clock)


def written_past_the_chart(town: Town, record_id: str, tree: Tree | str, *, shown: bool = True) -> None:
    """Put a tree into a row, and into its current version if it is to be shown."""
    text = tree if isinstance(tree, str) else exact_json.dump(tree)
    with town.database.begin() as session:
        row = session.get_one(tables.Record, record_id)
        if shown:
            version = session.get_one(tables.Version, (record_id, row.version))
            version.tree = text
        row.tree = text


def said(town: Town, record_id: str, **elements: Any) -> None:
    written_past_the_chart(town, record_id, {**town.tree(record_id), **elements})


def owned(town: Town, record_id: str, patient: str | None) -> None:
    with town.database.begin() as session:
        session.execute(update(tables.Record).where(tables.Record.id == record_id).values(patient_id=patient))


def with_anothers_identifier(town: Town) -> None:
    with town.database.read() as session:
        system = identifier_system(session)
    said(town, "anns-goal", identifier=[{"system": system, "value": "bobs-goal"}])


def merged_past_the_chart(town: Town) -> None:
    with town.database.begin() as session:
        session.get_one(tables.Patient, town.cid).merged_into = town.bob


def without_its_version(town: Town) -> None:
    with town.database.begin() as session:
        session.execute(delete(tables.Version).where(tables.Version.record_id == "anns-mistake"))


#: How a row is spoiled, and what is named of it.
SPOILED: dict[str, tuple[Callable[[Town], None], str, str]] = {
    "another patient's subject": (
        lambda town: said(town, "anns-goal", subject=town.says(town.bob)),
        "anns-goal",
        "Goal.subject",
    ),
    "another patient's row": (
        lambda town: owned(town, "bobs-plan", town.ann),
        "bobs-plan",
        "CarePlan.subject",
    ),
    "nobody's row": (lambda town: owned(town, "bobs-plan", None), "bobs-plan", "CarePlan.subject"),
    "a patient's questionnaire": (lambda town: owned(town, "form", town.ann), "form", "Questionnaire"),
    "a subject without address": (
        lambda town: said(town, "anns-goal", subject={"display": "Ann"}),
        "anns-goal",
        "Goal.subject",
    ),
    "a subject that says two things": (
        lambda town: said(town, "anns-goal", subject=town.says(town.ann, BOBS)),
        "anns-goal",
        "Goal.subject",
    ),
    "an author who is two": (
        lambda town: said(town, "bobs-plan", author=town.says(town.ann, BOBS)),
        "bobs-plan",
        "CarePlan.author",
    ),
    "a contained subject": (
        lambda town: said(
            town,
            "bobs-plan",
            contained=[
                builders.activity(id="c", subject={"identifier": identifier(("urn:none", "1"))}),
                builders.goal(town.ann, id="d"),
            ],
        ),
        "bobs-plan",
        "CarePlan.contained[1].subject",
    ),
    "another patient's goal": (
        lambda town: said(town, "bobs-plan", goal=[{"reference": "Goal/anns-goal"}]),
        "bobs-plan",
        "CarePlan.goal[0]",
    ),
    "a goal that is not here": (
        lambda town: said(town, "bobs-plan", goal=[{"reference": "Goal/gone"}]),
        "bobs-plan",
        "CarePlan.goal[0]",
    ),
    "another record's identifier": (with_anothers_identifier, "anns-goal", "Goal.identifier[0]"),
    "another record's id": (lambda town: said(town, "anns-goal", id="bobs-goal"), "anns-goal", "Goal.id"),
    "another type": (
        lambda town: written_past_the_chart(town, "anns-goal", builders.activity(town.ann, id="anns-goal")),
        "anns-goal",
        "Goal",
    ),
    "no JSON": (lambda town: written_past_the_chart(town, "bobs-plan", "{"), "bobs-plan", "CarePlan"),
    "no object": (lambda town: written_past_the_chart(town, "bobs-plan", "[]"), "bobs-plan", "CarePlan"),
    "shown otherwise": (
        lambda town: written_past_the_chart(
            town, "bobs-plan", {**town.tree("bobs-plan"), "title": "Other"}, shown=False
        ),
        "bobs-plan",
        "CarePlan",
    ),
    "never shown": (without_its_version, "anns-mistake", "Goal"),
    "a patient who was merged": (merged_past_the_chart, "cids-activity", "ServiceRequest.subject"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_backup_with_an_unlawful_row_is_refused_by_record_and_path(
    town: Town, tmp_path: Path, case: str
) -> None:
    spoil, record_id, path = SPOILED[case]
    spoil(town)
    backup(town.database, tmp_path / "backup")
    with opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        empty = contents(other)
        with pytest.raises(InvalidInput) as refusal:
            restore(other, tmp_path / "backup", check=audit.require_lawful)
        assert f"{record_id}: {path}" in {finding.path for finding in refusal.value.findings}
        assert contents(other) == empty


def test_a_backup_of_lawful_rows_is_restored_whatever_was_merged(town: Town, tmp_path: Path) -> None:
    # Whoever is merged into whom: neither order of their rows is the right one.
    town.register.merge(town.ann, town.bob, "jo")
    town.register.merge(town.bob, town.cid, "jo")
    backup(town.database, tmp_path / "backup")
    with opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        restore(other, tmp_path / "backup", check=audit.require_lawful)
        assert contents(other) == contents(town.database)


def test_each_unlawful_row_is_found_once_among_many(town: Town) -> None:
    for number in range(450):
        town.chart.create(builders.goal(town.cid), "nurse", record_id=f"goal-{number:03}")
    for record_id in ("goal-000", "goal-250", "goal-449"):
        owned(town, record_id, town.bob)
    with town.database.read() as session:
        assert [one.record_id for one in audit.breaches(session)] == ["goal-000", "goal-250", "goal-449"]
        assert len(list(audit.breaches(session, sample=1000))) == 3
        count = len(session.scalars(select(tables.Record.id)).all())
        looked_at = [one.record_id for one in audit.breaches(session, sample=count // 2)]
    assert set(looked_at) < {"goal-000", "goal-250", "goal-449"}


def test_a_damaged_file_does_not_bury_the_terminal(town: Town) -> None:
    for number in range(30):
        town.chart.create(builders.goal(town.cid), "nurse", record_id=f"goal-{number:02}")
        owned(town, f"goal-{number:02}", town.bob)
    with town.database.read() as session, pytest.raises(InvalidInput) as refusal:
        audit.require_lawful(session)
    assert len(refusal.value.findings) == 20
