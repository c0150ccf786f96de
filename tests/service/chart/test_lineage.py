"""Whom versions and copies are about, held against who was who: what a restored backup may not say."""

import pytest
from sqlalchemy import select

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import audit
from service.errors import InvalidInput
from service.store import tables
from service.store.database import Database
from tests import builders
from tests.clock import Clock
from tests.databases import MOMENT
from tests.service.chart.persons import Town


@pytest.fixture
def town(database: Database, clock: Clock) -> Town:
    return Town(database, clock)


def edit(town: Town, record_id: str, text: str) -> None:
    town.chart.replace(record_id, {**town.tree(record_id), "description": {"text": text}}, "jo")


def say_in_version(town: Town, record_id: str, version: int, tree: Tree | str) -> None:
    """Put a tree into a version, past the chart."""
    text = tree if isinstance(tree, str) else exact_json.dump(tree)
    with town.database.begin() as session:
        session.get_one(tables.Version, (record_id, version)).tree = text


def link(town: Town, record_id: str, subject: Tree | None) -> None:
    """Keep a copy of a record as it was seen at the clinic."""
    kind = town.tree(record_id)["resourceType"]
    body = {"resourceType": kind, "id": f"{record_id}-there", **({"subject": subject} if subject else {})}
    with town.database.begin() as session:
        session.merge(
            tables.Link(
                record_id=record_id,
                connection_id=town.clinic,
                resource_type=kind,
                server_id=f"{record_id}-there",
                server_version="1",
                body=exact_json.dump(body),
                state="synced",
                updated_at=MOMENT,
            )
        )


def about(server_id: str) -> Tree:
    return {"reference": f"Patient/{server_id}"}


def refused(town: Town) -> list[str]:
    """Return which places a restore would name."""
    with town.database.read() as session:
        try:
            audit.require_lawful(session)
        except InvalidInput as refusal:
            return [finding.path for finding in refusal.findings]
    return []


# Versions.


def test_another_patients_words_in_an_earlier_version_are_refused_by_record_and_version(town: Town) -> None:
    edit(town, "anns-goal", "second")
    edit(town, "anns-goal", "third")
    say_in_version(town, "anns-goal", 2, {**town.tree("bobs-goal"), "id": "anns-goal"})
    assert refused(town) == ["history anns-goal, version 2: Goal.subject"]


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"resourceType": "Goal", "id": "anns-goal"}, "Goal.subject"),
        ({"resourceType": "CarePlan", "id": "anns-goal"}, "Goal"),
        ("[]", "Goal"),
        ("{", "Goal"),
    ],
    ids=["nobody's", "another type", "no object", "no JSON"],
)
def test_an_earlier_version_that_is_none_of_the_record_is_refused(
    town: Town, tree: Tree | str, path: str
) -> None:
    edit(town, "anns-goal", "second")
    say_in_version(town, "anns-goal", 1, tree)
    assert refused(town) == [f"history anns-goal, version 1: {path}"]


def test_an_earlier_version_with_another_records_id_is_refused(town: Town) -> None:
    earlier = town.tree("anns-goal")
    edit(town, "anns-goal", "second")
    say_in_version(town, "anns-goal", 1, {**earlier, "id": "bobs-goal"})
    assert refused(town) == ["history anns-goal, version 1: Goal.id"]


def test_versions_from_before_and_after_merges_and_unmerges_are_lawful(town: Town) -> None:
    edit(town, "anns-goal", "as Ann's")
    town.register.merge(town.ann, town.bob, "jo")
    edit(town, "anns-goal", "as Bob's")
    town.register.merge(town.bob, town.cid, "jo")
    edit(town, "anns-goal", "as Cid's")
    assert refused(town) == []
    town.register.unmerge(town.bob, "jo")
    town.register.unmerge(town.ann, "jo")
    edit(town, "anns-goal", "as Ann's again")
    assert refused(town) == []
    town.register.merge(town.bob, town.ann, "jo")
    assert refused(town) == []


def test_that_two_were_one_for_a_while_excuses_no_version_from_another_time(town: Town) -> None:
    edit(town, "anns-goal", "second")
    bobs = {**town.tree("bobs-goal"), "id": "anns-goal"}
    town.register.merge(town.ann, town.bob, "jo")
    town.register.unmerge(town.ann, "jo")
    say_in_version(town, "anns-goal", 1, bobs)
    assert refused(town) == ["history anns-goal, version 1: Goal.subject"]


def test_a_version_that_says_it_came_of_a_merge_needs_one_that_there_was(town: Town) -> None:
    edit(town, "anns-goal", "second")
    with town.database.begin() as session:
        session.get_one(tables.Version, ("anns-goal", 2)).action = "merge-patient"
    assert refused(town) == []
    say_in_version(town, "anns-goal", 1, {**town.tree("bobs-goal"), "id": "anns-goal"})
    assert refused(town) == ["history anns-goal, version 1: Goal.subject"]


def test_the_patients_of_an_unmerge_are_held_to_what_records_say_now(town: Town) -> None:
    """What is wrong in an old version is no reason to keep two persons in one chart."""
    edit(town, "cids-goal", "second")
    say_in_version(town, "cids-goal", 1, {**town.tree("bobs-goal"), "id": "cids-goal"})
    town.register.merge(town.ann, town.bob, "jo")
    town.register.unmerge(town.ann, "jo")
    assert town.owners()["anns-goal"] == town.ann


# Copies.


def test_copies_that_were_exchanged_are_refused_by_table_and_record(town: Town) -> None:
    link(town, "anns-goal", about("bob-there"))
    link(town, "bobs-goal", about("ann-there"))
    assert refused(town) == ["links anns-goal: Goal.subject", "links bobs-goal: Goal.subject"]


def test_copies_about_a_patient_there_who_is_or_was_theirs_are_lawful(town: Town) -> None:
    with town.database.read() as session:
        base_url = session.get_one(tables.Connection, town.clinic).base_url
    link(town, "anns-goal", about("ann-there"))
    link(town, "anns-plan", about("ann-before"))
    link(town, "anns-answers", {"reference": f"{base_url}/Patient/ann-there"})
    link(town, "bobs-goal", about("bob-once"))
    link(town, "bobs-plan", {"identifier": {"value": "?"}})
    link(town, "anns-mistake", None)
    # Nobody there is known to be Cid.
    link(town, "cids-goal", about("anybody"))
    link(town, "form", None)
    with town.database.begin() as session:
        session.add(
            tables.MatchChange(
                patient_id=town.bob,
                connection_id=town.clinic,
                number=1,
                server_id="bob-once",
                state="matched",
                actor="jo",
                at=MOMENT,
            )
        )
    assert refused(town) == []
    for undone in (False, True):
        if undone:
            town.register.unmerge(town.ann, "jo")
        else:
            town.register.merge(town.ann, town.bob, "jo")
        assert refused(town) == []


def test_an_absolute_subject_elsewhere_is_not_taken_for_one_there(town: Town) -> None:
    link(town, "anns-goal", {"reference": "https://other.example/Patient/bob-there"})
    assert refused(town) == []


def test_all_findings_of_many_versions_are_of_their_own_record(town: Town) -> None:
    ids = [f"goal-{number:03}" for number in range(120)]
    for record_id in ids:
        town.chart.create(builders.goal(town.cid), "nurse", record_id=record_id)
        for text in ("second", "third", "fourth"):
            edit(town, record_id, text)
    for record_id in ids[::50]:
        say_in_version(town, record_id, 3, {**town.tree("bobs-goal"), "id": record_id})
    with town.database.read() as session:
        assert len(session.scalars(select(tables.Version.version)).all()) > 480
    assert refused(town) == [f"history {one}, version 3: Goal.subject" for one in ids[::50]]
