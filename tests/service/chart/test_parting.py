"""Two patients parted again whose records were edited meanwhile: nobody's words become another's."""

from typing import Any

import pytest

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store import tables
from service.store.database import Database
from tests import builders
from tests.clock import Clock
from tests.service.chart.persons import ANNS, Town

WHO = "https://clinic.example/told-by"


@pytest.fixture
def town(database: Database, clock: Clock) -> Town:
    return Town(database, clock)


def told_by(patient: str) -> Tree:
    return {"url": WHO, "valueReference": {"reference": f"Patient/{patient}"}}


def tellers(tree: Tree) -> list[str]:
    return [one["valueReference"]["reference"].split("/")[1] for one in tree["extension"]]


def edit(town: Town, record_id: str, **elements: Any) -> None:
    changed = {**town.tree(record_id), **elements}
    kept = {name: value for name, value in changed.items() if value is not None}
    town.chart.replace(record_id, kept, "jo")


def edited(town: Town) -> list[str] | None:
    """Return which records the unmerge leaves to a person, as both histories tell."""
    lines = [town.register.history(one)[0] for one in (town.ann, town.bob)]
    assert {line.action for line in lines} == {"unmerge"}
    assert lines[0].detail == lines[1].detail
    return lines[0].detail.get("edited")


@pytest.mark.parametrize("whose", ["cid", "bob"])
def test_a_reference_that_moved_up_does_not_become_anothers(town: Town, whose: str) -> None:
    owner = {"cid": town.cid, "bob": town.bob}[whose]
    goal = town.chart.create(builders.goal(owner, extension=[told_by(town.ann), told_by(town.bob)]), "jo").id
    town.register.merge(town.ann, town.bob, "jo")
    edit(town, goal, extension=town.tree(goal)["extension"][1:])
    town.register.unmerge(town.ann, "jo")
    assert tellers(town.tree(goal)) == [town.bob]
    assert edited(town) == [goal]


def test_a_reference_beside_an_edited_one_goes_back(town: Town) -> None:
    notes = [
        {"authorReference": {"reference": f"Patient/{town.ann}"}, "text": "A"},
        {"authorReference": {"reference": f"Patient/{town.ann}"}, "text": "B"},
    ]
    goal = town.chart.create(builders.goal(town.cid, note=notes), "jo").id
    town.register.merge(town.ann, town.bob, "jo")
    kept, other = town.tree(goal)["note"]
    edit(town, goal, note=[kept, {**other, "text": "edited"}])
    town.register.unmerge(town.ann, "jo")
    assert [one["authorReference"]["reference"] for one in town.tree(goal)["note"]] == [
        f"Patient/{town.ann}",
        f"Patient/{town.bob}",
    ]
    assert edited(town) == [goal]


def test_an_unmerge_without_edits_leaves_nothing_to_a_person(town: Town) -> None:
    goal = town.chart.create(
        builders.goal(town.cid, extension=[told_by(town.ann), told_by(town.bob)]), "jo"
    ).id
    town.register.merge(town.ann, town.bob, "jo")
    town.register.correct_identifier(town.bob, ANNS, (builders.CLINIC, "A-2"), "jo", also=True)
    edit(town, "cids-plan", title="Said while they were one")
    town.register.unmerge(town.ann, "jo")
    assert edited(town) is None
    assert tellers(town.tree(goal)) == [town.ann, town.bob]
    assert town.tree("cids-goal")["note"][1]["authorReference"]["reference"] == f"Patient/{town.ann}"


def test_a_reference_that_was_taken_out_is_nothing_to_look_at(town: Town) -> None:
    goal = town.chart.create(builders.goal(town.cid, extension=[told_by(town.ann)]), "jo").id
    town.register.merge(town.ann, town.bob, "jo")
    edit(town, goal, extension=None)
    town.register.unmerge(town.ann, "jo")
    assert edited(town) is None


def test_what_was_written_meanwhile_goes_along_and_is_told(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    edit(town, "anns-goal", description={"text": "Perhaps Bob's"})
    edit(town, "bobs-plan", title="Bob's anyway")
    town.register.unmerge(town.ann, "jo")
    assert town.owners()["anns-goal"] == town.ann
    assert town.tree("anns-goal")["description"] == {"text": "Perhaps Bob's"}
    assert edited(town) == ["anns-goal"]


def test_whom_a_record_is_about_goes_with_it_wherever_that_is_said(town: Town) -> None:
    town.register.merge(town.ann, town.bob, "jo")
    new = builders.activity(town.bob, id="new")
    edit(
        town,
        "anns-goal",
        contained=[new, *town.tree("anns-goal")["contained"]],
        addresses=[{"reference": "#new"}, {"reference": "#inner"}],
        subject={**town.says(town.bob), "display": "A. B."},
    )
    town.register.unmerge(town.ann, "jo")
    goal = town.tree("anns-goal")
    subjects = [goal["subject"], *(one["subject"] for one in goal["contained"])]
    assert {one["reference"] for one in subjects} == {f"Patient/{town.ann}"}
    assert edited(town) == ["anns-goal"]


def test_what_was_edited_is_told_by_the_merge_that_is_undone_and_no_other(town: Town) -> None:
    goal = town.chart.create(
        builders.goal(town.cid, extension=[told_by(town.ann), told_by(town.bob)]), "jo"
    ).id
    town.register.merge(town.ann, town.bob, "jo")
    edit(town, goal, extension=town.tree(goal)["extension"][1:])
    town.register.merge(town.bob, town.cid, "jo")
    town.register.unmerge(town.bob, "jo")
    assert town.register.history(town.bob)[0].detail.get("edited") is None
    town.register.unmerge(town.ann, "jo")
    assert edited(town) == [goal]
    assert tellers(town.tree(goal)) == [town.bob]


def test_a_side_of_a_conflict_that_was_said_anew_is_left_as_well(town: Town) -> None:
    told = {**town.tree("cids-goal"), "extension": [told_by(town.ann), told_by(town.bob)]}
    with town.database.begin() as session:
        session.get_one(tables.ConflictRow, "cids").there = exact_json.dump(told)
    town.register.merge(town.ann, town.bob, "jo")
    there = town.sides("cids")["there"]
    with town.database.begin() as session:
        anew = {**there, "extension": there["extension"][1:]}
        session.get_one(tables.ConflictRow, "cids").there = exact_json.dump(anew)
    town.register.unmerge(town.ann, "jo")
    sides = town.sides("cids")
    assert tellers(sides["there"]) == [town.bob]
    assert sides["here"]["note"][1]["authorReference"]["reference"] == f"Patient/{town.ann}"
