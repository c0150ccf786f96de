"""Who is who: identifiers said anew everywhere, two patients made one, and that undone exactly."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text

from service.chart import Chart, persons
from service.errors import Conflict, InvalidContent, InvalidInput, NotFound, ServiceError
from service.store import tables
from service.store.database import Database
from service.store.tables import Patient, PatientLink, ReferenceLink
from tests import builders
from tests.clock import START, Clock
from tests.concurrency import TIMES, at_once
from tests.databases import MOMENT, contents, outbox
from tests.service.chart.persons import ANNS, BOBS, CIDS, NATIONAL, Town, addresses_in, identifier, names_in

NEW = (builders.CLINIC, "A-10")


@pytest.fixture
def town(database: Database, clock: Clock) -> Town:
    return Town(database, clock)


# Identifiers.


def test_a_corrected_identifier_is_said_anew_wherever_a_record_names_the_patient_by_it(town: Town) -> None:
    before = town.trees()
    named_so = {
        record_id: [reference for name, reference in names_in(tree) if name == ANNS]
        for record_id, tree in before.items()
    }
    assert {one for one, found in named_so.items() if found} == {
        "anns-goal",
        "bobs-goal",
        "cids-goal",
        "cids-plan",
        "cids-activity",
    }

    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")

    after = town.trees()
    for record_id, tree in after.items():
        expected = 0 if record_id == "cids-activity" else len(named_so[record_id])
        assert sum(name == NEW for name, _ in names_in(tree)) == expected, record_id
        assert list(addresses_in(tree)) == list(addresses_in(before[record_id]))
    changed = {record_id for record_id in after if after[record_id] != before[record_id]}
    assert changed == {"anns-goal", "bobs-goal", "cids-goal", "cids-plan"}
    assert after["cids-plan"]["author"] == {"type": "Patient", "identifier": identifier(NEW)}


def test_a_practitioner_who_has_the_same_number_keeps_it(town: Town) -> None:
    before = town.tree("cids-activity")
    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")
    town.register.remove_identifier(town.ann, NEW, "jo")
    assert town.tree("cids-activity") == before


def test_texts_that_merely_hold_the_value_stay(town: Town) -> None:
    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")
    assert town.tree("cids-plan")["title"] == "A-1"
    assert town.tree("anns-goal")["note"][0]["text"] == "A-1 is my number"
    assert town.tree("cids-activity")["note"][0]["text"] == '"value":"A-1"'


@pytest.mark.parametrize(
    ("value", "other"), [("50%", "50x"), ("a_b", "axb"), ('"\\', '"\\\\'), ("é", "e\u0301"), ("1", "11")]
)
def test_the_value_is_looked_for_as_it_is(
    chart: Chart, database: Database, clock: Clock, value: str, other: str
) -> None:
    """Characters that a LIKE pattern or JSON gives a meaning have none here."""
    town = Town(database, clock)
    odd, near = ("urn:odd", value), ("urn:odd", other)
    town.register.add_identifier(town.ann, odd, "jo")
    town.register.add_identifier(town.bob, near, "jo")
    goal = chart.create(
        builders.goal(subject=town.says(town.ann, odd), expressedBy=town.says(town.bob, near)), "jo"
    ).id
    town.register.correct_identifier(town.ann, odd, ("urn:odd", "mended"), "jo")
    assert chart.get("Goal", goal).tree["subject"]["identifier"]["value"] == "mended"
    assert chart.get("Goal", goal).tree["expressedBy"]["identifier"]["value"] == other


def test_each_record_that_is_said_anew_gets_a_version_of_its_own_and_is_due(town: Town) -> None:
    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")
    newest = town.chart.history("Goal", "cids-goal")[0]
    assert (newest.version, newest.actor, newest.action) == (2, "jo", "identify")
    assert outbox(town.database)["cids-goal", town.clinic].generation == 2
    assert town.chart.history("ServiceRequest", "cids-activity")[0].version == 1


def test_our_side_of_a_conflict_is_said_anew_and_the_servers_is_what_it_says(town: Town) -> None:
    before = town.sides("open")
    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")
    after = town.sides("open")
    assert after["here"] == town.tree("anns-goal")
    assert (after["base"], after["there"]) == (before["base"], before["there"])
    with town.database.read() as session:
        rows = {row.id: row.here_version for row in session.scalars(select(tables.ConflictRow))}
    assert rows == {"open": 2, "decided": 1, "cids": 2, "there": 1}


def test_a_removed_identifier_leaves_the_address(town: Town) -> None:
    town.register.remove_identifier(town.ann, ANNS, "jo")
    assert town.tree("anns-goal")["subject"] == town.says(town.ann)
    assert town.tree("cids-goal")["expressedBy"] == town.says(town.ann)
    assert town.tree("cids-plan")["author"] == {"reference": f"Patient/{town.ann}", "type": "Patient"}
    everywhere = [
        name
        for tree in town.trees().values()
        for name, ref in names_in(tree)
        if ref.get("type") != "Practitioner"
    ]
    assert ANNS not in everywhere
    assert NATIONAL in everywhere


def test_who_is_called_so_next_is_not_taken_for_them(town: Town) -> None:
    town.register.correct_identifier(town.ann, ANNS, NEW, "jo")
    assert town.register.add_identifier(town.bob, ANNS, "jo", also=True).id == town.bob
    goal = town.chart.create(builders.goal(subject={"identifier": identifier(ANNS)}), "jo")
    assert goal.patient_id == town.bob


# Two who are one.


def test_a_merged_patient_leaves_nothing_behind(town: Town) -> None:
    owned = {record_id for record_id, owner in town.owners().items() if owner == town.ann}
    assert len(owned) == 5

    town.register.merge(town.ann, town.bob, "jo")

    owners = town.owners()
    assert {owners[one] for one in owned} == {town.bob}
    trees = town.trees()
    for record_id, tree in trees.items():
        assert not any(address.startswith(f"Patient/{town.ann}") for address in addresses_in(tree)), record_id
    assert trees["anns-goal"]["subject"] == town.says(town.bob, ANNS)
    assert trees["anns-goal"]["contained"][0]["subject"] == town.says(town.bob)
    assert trees["cids-goal"]["expressedBy"] == town.says(town.bob, ANNS)
    assert trees["anns-answers"]["source"] == town.says(town.bob, BOBS)
    assert owners["cids-goal"] == town.cid
    with town.database.read() as session:
        left = {
            "conflicts": [
                str(row.base) + row.here + row.there for row in session.scalars(select(tables.ConflictRow))
            ],
            "answers": [
                row.principal + str(row.body) for row in session.scalars(select(tables.IdempotencyKey))
            ],
        }
        assert session.scalars(select(PatientLink).where(PatientLink.patient_id == town.ann)).all() == []
        assert session.scalars(select(ReferenceLink)).all() == []
        assert session.get_one(Patient, town.ann).merged_into == town.bob
    assert not any(town.ann in text for text in left["conflicts"])
    # What was given to both under one key stays with each.
    assert [text.startswith(f"app {town.ann}") for text in left["answers"] if town.ann in text] == [True]


def test_who_stays_is_called_by_all_identifiers_and_found_by_them(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    assert town.chart.patient(town.bob).identifiers == tuple(sorted([ANNS, BOBS, NATIONAL]))
    assert town.chart.find_patient(*ANNS) == town.chart.patient(town.bob)
    assert town.chart.patient(town.ann).identifiers == ()
    assert town.chart.patient(town.ann).merged_into == town.bob
    assert {one.id for one in town.chart.patients().entries} == {town.bob, town.cid}


def test_a_merge_is_a_line_in_the_history_of_both_and_a_version_of_each_record(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    for one in (town.ann, town.bob):
        line = town.register.history(one)[0]
        assert (line.action, line.actor, line.detail["from"], line.detail["into"]) == (
            "merge",
            "jo",
            town.ann,
            town.bob,
        )
    history = town.chart.history("Goal", "anns-goal")
    assert [(one.version, one.action) for one in history] == [(2, "merge-patient"), (1, "create")]
    assert history[1].tree["subject"] == town.says(town.ann, ANNS)


def test_the_match_of_who_stays_counts_and_where_they_have_none_the_others_does(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    with town.database.read() as session:
        rows = {row.connection_id: row for row in session.scalars(select(PatientLink))}
    assert {one: (row.patient_id, row.server_id, row.is_stale) for one, row in rows.items()} == {
        town.clinic: (town.bob, "bob-there", True),
        town.lab: (town.bob, "ann-lab", True),
    }


def test_an_answer_is_given_again_to_the_same_asker(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    with town.database.read() as session:
        rows = {(row.principal, row.key): row.body for row in session.scalars(select(tables.IdempotencyKey))}
    assert f'"subject":{{"reference":"Patient/{town.bob}"' in str(rows[f"app {town.bob}", "alone"])
    assert f"Patient/{town.bob}" in str(rows["app ", "everyone's"])
    assert '"id":"bobs-goal"' in str(rows[f"app {town.bob}", "both"])
    assert rows["app ", "unfinished"] is None


def test_nothing_is_written_about_who_was_merged(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    before = contents(town.database)
    goal = town.tree("anns-goal")
    writes: list[Callable[[], object]] = [
        lambda: town.chart.create(builders.goal(town.ann), "jo"),
        lambda: town.chart.create(builders.goal(town.cid, expressedBy=town.says(town.ann)), "jo"),
        lambda: town.chart.replace("anns-goal", {**goal, "subject": town.says(town.ann)}, "jo"),
    ]
    for act in writes:
        with pytest.raises(InvalidContent, match=f"merged into Patient/{town.bob}"):
            act()
    acts: list[Callable[[], object]] = [
        lambda: town.register.merge(town.ann, town.cid, "jo"),
        lambda: town.register.merge(town.cid, town.ann, "jo"),
        lambda: town.register.add_identifier(town.ann, ("urn:x", "1"), "jo"),
        lambda: town.register.remove_identifier(town.ann, ANNS, "jo"),
    ]
    for act in acts:
        with pytest.raises(Conflict, match=f"merged into {town.bob}"):
            act()
    with pytest.raises(NotFound):
        town.register.merge("nobody", town.bob, "jo")
    with pytest.raises(InvalidInput):
        town.register.merge(town.bob, town.bob, "jo")
    with pytest.raises(Conflict, match="not merged"):
        town.register.unmerge(town.bob, "jo")
    assert contents(town.database) == before


def test_by_an_identifier_of_theirs_records_are_made_for_who_stays(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    assert (
        town.chart.create(builders.goal(subject={"identifier": identifier(ANNS)}), "jo").patient_id
        == town.bob
    )
    assert town.chart.register_patient([ANNS], "jo").id == town.bob


# And that undone.


def test_an_undone_merge_leaves_everything_as_it_was(town: Town) -> None:
    before = town.content()
    town.register.merge(town.ann, town.bob, "jo")
    assert town.content() != before
    town.register.unmerge(town.ann, "jo")
    after = town.content()
    for table in before:
        assert after[table] == before[table], table
    assert town.register.history(town.ann)[0].action == town.register.history(town.bob)[0].action == "unmerge"
    assert town.chart.history("Goal", "anns-goal")[0].action == "unmerge-patient"


def test_merges_in_a_chain_are_undone_last_first(town: Town) -> None:
    first = town.content()
    town.register.merge(town.ann, town.bob, "jo")
    second = town.content()
    town.register.merge(town.bob, town.cid, "jo")
    assert set(town.owners().values()) == {town.cid, None}
    assert town.chart.patient(town.cid).identifiers == tuple(sorted([ANNS, BOBS, CIDS, NATIONAL]))
    with pytest.raises(Conflict, match=f"merged into {town.cid}"):
        town.register.unmerge(town.ann, "jo")
    town.register.unmerge(town.bob, "jo")
    assert town.content() == second
    town.register.unmerge(town.ann, "jo")
    assert town.content() == first


def test_the_same_two_can_be_merged_the_other_way_round_afterwards(town: Town) -> None:
    before = town.content()
    town.register.merge(town.ann, town.bob, "jo")
    town.register.unmerge(town.ann, "jo")
    town.register.merge(town.bob, town.ann, "jo")
    assert set(town.owners().values()) == {town.ann, town.cid, None}
    town.register.unmerge(town.bob, "jo")
    assert town.content() == before


def test_what_came_since_stays_where_it_is_and_edits_are_kept(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    new = town.chart.create(builders.goal(town.bob), "jo").id
    goal = town.tree("anns-goal")
    town.chart.replace("anns-goal", {**goal, "description": {"text": "Since then"}}, "jo")
    plan = town.tree("cids-goal")
    town.chart.replace("cids-goal", {key: value for key, value in plan.items() if key != "expressedBy"}, "jo")
    town.register.add_identifier(town.bob, ("urn:x", "1"), "jo")

    town.register.unmerge(town.ann, "jo")

    assert town.owners()[new] == town.bob
    assert town.tree("anns-goal")["description"] == {"text": "Since then"}
    assert town.tree("anns-goal")["subject"] == town.says(town.ann, ANNS)
    assert "expressedBy" not in town.tree("cids-goal")
    assert town.chart.patient(town.ann).identifiers == tuple(sorted([ANNS, NATIONAL]))
    assert town.chart.patient(town.bob).identifiers == tuple(sorted([BOBS, ("urn:x", "1")]))


def test_an_identifier_that_was_taken_away_since_is_not_given_back(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    town.register.remove_identifier(town.bob, ANNS, "jo")
    town.register.unmerge(town.ann, "jo")
    assert town.chart.patient(town.ann).identifiers == (NATIONAL,)


@pytest.mark.parametrize("taken", [(ANNS, NATIONAL), (BOBS,)], ids=["who was merged", "who stayed"])
def test_nobody_is_left_without_an_identifier(town: Town, taken: tuple[tuple[str, str], ...]) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    for name in taken:
        town.register.remove_identifier(town.bob, name, "jo")
    before = contents(town.database)
    with pytest.raises(InvalidContent, match="without any: add theirs again first"):
        town.register.unmerge(town.ann, "jo")
    assert contents(town.database) == before
    town.register.add_identifier(town.bob, taken[0], "jo", also=True)
    town.register.unmerge(town.ann, "jo")
    everybodys = [town.chart.patient(one).identifiers for one in (town.ann, town.bob)]
    assert all(everybodys)


def test_an_identifier_that_was_corrected_since_goes_back_as_it_is_by_now(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    town.register.correct_identifier(town.bob, ANNS, (builders.CLINIC, "A-2"), "jo", also=True)
    town.register.merge(town.bob, town.cid, "jo")
    town.register.correct_identifier(town.cid, (builders.CLINIC, "A-2"), NEW, "jo", also=True)
    town.register.unmerge(town.bob, "jo")
    town.register.unmerge(town.ann, "jo")
    assert town.chart.patient(town.ann).identifiers == tuple(sorted([NEW, NATIONAL]))
    assert town.chart.patient(town.bob).identifiers == (BOBS,)
    assert town.tree("anns-goal")["subject"] == town.says(town.ann, NEW)


def test_the_history_shows_who_and_not_the_list_by_which_a_merge_is_undone(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    assert town.register.history(town.bob)[0].detail.keys() == {"from", "into", "identifiers"}


@pytest.mark.parametrize(
    ("since", "path"),
    [
        (lambda town: new_plan(town, "anns-goal"), "CarePlan.goal[0]"),
        (
            lambda town: edited(town, "bobs-plan", goal=[{"reference": "Goal/anns-goal"}]),
            "bobs-plan: CarePlan.goal[0]",
        ),
        (lambda town: edited(town, "anns-plan", goal=[{"reference": "Goal/bobs-goal"}]), "CarePlan.goal[0]"),
        (
            lambda town: town.chart.create(builders.goal(subject=town.says(town.bob, ANNS)), "jo"),
            "Goal.subject",
        ),
        (
            lambda town: town.chart.create(
                builders.goal(town.cid, expressedBy=town.says(town.bob, ANNS)), "jo"
            ),
            "Goal.expressedBy",
        ),
    ],
    ids=[
        "a new plan",
        "an old plan of who stays",
        "an old plan of who was merged",
        "a subject",
        "another patient's",
    ],
)
def test_a_merge_is_not_undone_where_a_record_would_be_of_two_patients(
    town: Town, since: Callable[[Town], Any], path: str
) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    since(town)
    before = contents(town.database)
    with pytest.raises(InvalidContent) as refusal:
        town.register.unmerge(town.ann, "jo")
    assert path in refusal.value.findings[0].path
    assert contents(town.database) == before


def new_plan(town: Town, goal: str) -> None:
    town.chart.create(builders.care_plan(town.bob, goal=[{"reference": f"Goal/{goal}"}]), "jo")


def edited(town: Town, record_id: str, **elements: Any) -> None:
    town.chart.replace(record_id, {**town.tree(record_id), **elements}, "jo")


def test_a_match_that_a_run_wrote_down_for_who_was_merged_does_not_stand_in_the_way(town: Town) -> None:
    """A worker that looked at both before the merge may write what it saw after it."""
    before = town.content()
    town.register.merge(town.ann, town.bob, "jo")
    with town.database.begin() as session:
        late = {"state": "unmatched", "is_stale": False, "checked_at": MOMENT}
        session.add(PatientLink(patient_id=town.ann, connection_id=town.clinic, **late))
    town.register.unmerge(town.ann, "jo")
    assert town.content() == before


# At the same moment.


def test_what_is_created_while_a_patient_is_merged_is_refused_or_goes_along(
    chart: Chart, database: Database, clock: Clock
) -> None:
    town = Town(database, clock)

    def act(number: int) -> Any:
        if number == TIMES // 2:
            return town.register.merge(town.ann, town.bob, "jo")
        made = []
        for _ in range(5):
            try:
                made.append(chart.create(builders.goal(town.ann, expressedBy=town.says(town.ann)), "jo").id)
            except InvalidContent:
                return made
        return made

    results = at_once(act)
    assert not [one for one in results if isinstance(one, ServiceError)]
    owners = town.owners()
    made = [record_id for one in results if isinstance(one, list) for record_id in one]
    assert {owners[record_id] for record_id in made} <= {town.bob}
    assert town.ann not in owners.values()
    assert not any(f"Patient/{town.ann}" in addresses_in(tree) for tree in town.trees().values())


@pytest.mark.parametrize("element", ["subject", "expressedBy"])
def test_who_writes_about_a_patient_waits_for_a_merge_that_has_begun(
    database: Database, clock: Clock, element: str
) -> None:
    town = Town(database, clock)
    outcome: list[Any] = []

    def create() -> None:
        tree = builders.goal(town.cid, **{element: town.says(town.ann)})
        try:
            outcome.append(town.chart.create(tree, "jo"))
        except ServiceError as refusal:
            outcome.append(refusal)

    with database.begin() as session:
        persons.merge(session, town.ann, town.bob, "jo", START)
        writer = threading.Thread(target=create)
        writer.start()
        while writer.is_alive() and not is_waited_for(database):
            pass
    writer.join()
    assert isinstance(outcome[0], InvalidContent)


def is_waited_for(database: Database) -> bool:
    """Tell whether somebody waits for a lock; on SQLite whoever writes is alone from the beginning."""
    if database.is_sqlite:
        return True
    with database.read() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_edits_and_a_merge_do_not_wait_for_each_other_in_a_circle(database: Database, clock: Clock) -> None:
    town = Town(database, clock)
    goals = [town.chart.create(builders.goal(town.ann), "jo").id for _ in range(20)]

    def edit(number: int) -> list[ServiceError]:
        refusals = []
        for round_ in range(30):
            tree = town.chart.get("Goal", goals[(number + round_) % 20]).tree
            try:
                town.chart.replace(tree["id"], {**tree, "statusReason": f"{number} {round_}"}, "jo")
            except ServiceError as refusal:
                refusals.append(refusal)
        return refusals

    with ThreadPoolExecutor(7) as pool:
        edits = [pool.submit(edit, number) for number in range(6)]
        merge = pool.submit(town.register.merge, town.ann, town.bob, "jo")
        assert merge.result().id == town.bob
        refusals = [one for running in edits for one in running.result()]
    # Who read before the merge names somebody who is merged by now; nobody was told to come back later.
    assert {type(one) for one in refusals} <= {InvalidContent}
    assert town.ann not in town.owners().values()


def test_an_identifier_does_not_go_to_who_is_merged_meanwhile(
    chart: Chart, database: Database, clock: Clock
) -> None:
    town = Town(database, clock)
    known: list[Any] = []

    def register() -> None:
        known.append(chart.register_patient([ANNS, ("urn:x", "1")], "jo"))

    with database.begin() as session:
        persons.merge(session, town.ann, town.bob, "jo", START)
        other = threading.Thread(target=register)
        other.start()
        while other.is_alive() and not is_waited_for(database):
            pass
    other.join()
    assert known[0].id == town.bob
    assert chart.find_patient("urn:x", "1") == known[0]
