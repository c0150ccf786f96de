"""A plan's narrative: escaped, with its safety net, made anew only where it is ours."""

import dataclasses

import pytest

from fhir_mappings import codes, records
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources.care_plan import CARE_PLAN

PLAN = records.CarePlan(
    status=records.CarePlanStatus.ACTIVE,
    title="My back plan",
    subject=records.Reference(reference="Patient/1"),
    seek_help=(records.SeekHelp(when="Numb <between> the legs", why="It may be urgent & needs a doctor"),),
)


def div(tree: Tree) -> str:
    return str(tree["text"]["div"])


def test_the_narrative_of_a_new_plan_holds_when_to_seek_help_and_why() -> None:
    assert "Numb &lt;between&gt; the legs: It may be urgent &amp; needs a doctor" in div(
        CARE_PLAN.write(PLAN)
    )


def test_the_narrative_is_made_anew_when_the_plan_changes() -> None:
    tree = CARE_PLAN.write(PLAN)
    edited = CARE_PLAN.write(dataclasses.replace(PLAN, title="A new title"), onto=tree)
    assert "A new title" in div(edited)
    assert "My back plan" not in div(edited)


def test_the_narrative_that_others_wrote_stays() -> None:
    theirs = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Theirs</div>'}
    tree = {**CARE_PLAN.write(PLAN), "text": theirs}
    assert CARE_PLAN.write(dataclasses.replace(PLAN, title="A new title"), onto=tree)["text"] == theirs


def test_a_foreign_plan_without_narrative_gets_none() -> None:
    tree = CARE_PLAN.write(PLAN)
    del tree["text"]
    assert "text" not in CARE_PLAN.write(dataclasses.replace(PLAN, title="A new title"), onto=tree)


@pytest.mark.parametrize("text", ["\x0b", "a\x00b"])
def test_what_xml_cannot_carry_is_left_out(text: str) -> None:
    assert text not in div(CARE_PLAN.write(dataclasses.replace(PLAN, title=text)))


def test_an_activity_that_must_not_be_done_says_so() -> None:
    detail = records.ActivityDetail(description="Bed rest", do_not_perform=True)
    plan = dataclasses.replace(PLAN, activities=(records.PlannedActivity(detail=detail),))
    assert "Do not: Bed rest" in div(CARE_PLAN.write(plan))


def test_the_kind_of_plan_is_told_by_system_and_code() -> None:
    tree = CARE_PLAN.write(dataclasses.replace(PLAN, kind=codes.plan_kind(codes.PlanKind.FLARE_UP)))
    tree["category"][0]["coding"][0]["display"] = "another display"
    kind = CARE_PLAN.read(tree).kind
    assert kind is not None
    assert kind.code_in(codes.PLAN_KIND) == codes.PlanKind.FLARE_UP
