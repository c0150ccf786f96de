"""Lists are read, checked and edited in time with their length, whatever their items are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fhir_mappings import codes, r4
from fhir_mappings.exact_json import Number, Tree
from fhir_mappings.resources import BY_RESOURCE_TYPE
from tests import builders
from tests.growth import Growth, Work, growths

ITEMS = 1_000
Act = Callable[[], object]

MARK: dict[str, Any] = {"extension": [{"url": "https://clinic.example/mark", "valueCode": "a"}]}


def written_onto(before: Tree, after: Tree) -> Act:
    """The edit that makes of one resource what another says."""
    mapping = BY_RESOURCE_TYPE[before["resourceType"]]
    record = mapping.read(after)
    return lambda: mapping.write(record, onto=before)


def targets(size: int, first: int = 0, **more: Any) -> list[Tree]:
    return [
        {"measure": {"text": f"steps {number}"}, "detailInteger": number, **more}
        for number in range(first, first + size)
    ]


def targets_without_ids_edited_each(size: int) -> Act:
    return written_onto(
        builders.goal(target=targets(size)), builders.goal(target=targets(size, dueDate="2027"))
    )


def targets_put_into_another_order(size: int) -> Act:
    return written_onto(builders.goal(target=targets(size)), builders.goal(target=targets(size)[::-1]))


def targets_that_share_their_measure(size: int) -> Act:
    same = [{**target, "measure": {"text": "steps"}} for target in targets(2 * size)]
    return written_onto(builders.goal(target=same[:size]), builders.goal(target=same[size:]))


def targets_whose_handles_were_lost(size: int) -> Act:
    mapping = BY_RESOURCE_TYPE["Goal"]
    before = builders.goal(target=targets(size, **MARK))
    record = mapping.read(before)
    bare = tuple(replace(target, key=None, due=None) for target in reversed(record.targets))
    edited = replace(record, targets=bare, status_date="2027")
    return lambda: mapping.write(edited, onto=before)


def targets_with_ids_and_marks(size: int) -> Act:
    before = [{**target, "id": f"t{at // 2}"} for at, target in enumerate(targets(size, **MARK))]
    after = [{**target, "dueDate": "2027"} for target in before]
    return written_onto(builders.goal(target=before), builders.goal(target=after))


def notes_of_which_half_are_new(size: int) -> Act:
    notes = [{"text": f"note {number}"} for number in range(2 * size)]
    return written_onto(builders.goal(note=notes[:size]), builders.goal(note=notes[size // 2 :][:size]))


def notes_that_are_all_the_same(size: int) -> Act:
    return written_onto(
        builders.goal(note=[{"text": "a"}] * size), builders.goal(note=[{"text": "a"}] * (size + 1))
    )


def milestones_edited_each(size: int) -> Act:
    def of(word: str) -> list[Tree]:
        parts = ([{"url": "statement", "valueString": f"{word} {number}"}] for number in range(size))
        return [{"url": codes.MILESTONE, "extension": part} for part in parts]

    return written_onto(builders.goal(extension=of("walk")), builders.goal(extension=of("run")))


def categories_beside_the_kind_of_a_plan(size: int) -> Act:
    kind = {"coding": [{"system": codes.PLAN_KIND, "code": "flare-up"}]}
    before = [{"text": f"a {number}"} for number in range(size)]
    after = [{"text": f"b {number}"} for number in range(size)]
    return written_onto(
        builders.care_plan(category=[*before, kind]), builders.care_plan(category=[*after, kind])
    )


def answers_edited_each(size: int) -> Act:
    def of(first: int) -> list[Tree]:
        return [{"linkId": f"{at}", "answer": [{"valueInteger": first + at}]} for at in range(size)]

    return written_onto(
        builders.questionnaire_response(item=of(0)), builders.questionnaire_response(item=of(size))
    )


def answers_to_one_question(size: int) -> Act:
    def of(first: int) -> list[Tree]:
        return [{"linkId": "1", "answer": [{"valueInteger": at} for at in range(first, first + size)]}]

    return written_onto(
        builders.questionnaire_response(item=of(0)), builders.questionnaire_response(item=of(size))
    )


def the_loss_of_marked_targets(size: int) -> Act:
    mapping, tree = BY_RESOURCE_TYPE["Goal"], builders.goal(target=targets(size, **MARK))
    return lambda: mapping.loss(tree)


def checked(tree: Tree) -> Act:
    return lambda: r4.check(tree)


def a_guard_that_finds_something_everywhere(size: int) -> Act:
    return checked(builders.goal(target=[{"wish": 1, "detailInteger": Number("1.5")}] * size))


def members_that_are_no_elements(size: int) -> Act:
    wishes: dict[str, Any] = {f"wish{number}": 1 for number in range(size)}
    return checked(builders.goal(**wishes))


def contained_resources_that_refer_to_each_other(size: int) -> Act:
    contained = [
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "subject": {"reference": "#"},
            "recorder": {"reference": f"#c{number + 1}"},
        }
        for number in range(size)
    ]
    return checked(builders.goal(contained=contained, addresses=[{"reference": "#c0"}]))


def questions_of_a_form(size: int) -> Act:
    items = [{"linkId": f"{number}", "type": "string"} for number in range(size)]
    return checked(builders.questionnaire(item=items))


def entries_of_a_bundle(size: int) -> Act:
    tree = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": builders.goal()}] * size}
    return checked(tree)


LISTS: list[Work] = [
    targets_without_ids_edited_each,
    targets_put_into_another_order,
    targets_that_share_their_measure,
    targets_whose_handles_were_lost,
    targets_with_ids_and_marks,
    notes_of_which_half_are_new,
    notes_that_are_all_the_same,
    milestones_edited_each,
    categories_beside_the_kind_of_a_plan,
    answers_edited_each,
    answers_to_one_question,
    the_loss_of_marked_targets,
    a_guard_that_finds_something_everywhere,
    members_that_are_no_elements,
    contained_resources_that_refer_to_each_other,
    questions_of_a_form,
    entries_of_a_bundle,
]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, ITEMS) for work in LISTS])


@pytest.mark.parametrize("work", LISTS)
def test_time_grows_with_the_length_of_a_list_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]
