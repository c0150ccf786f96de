"""Whom a server's resource is about: the table, row by row."""

from typing import Any

import pytest

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.sync.identity.subject_policy import (
    About,
    Moved,
    Nobody,
    NotTaken,
    Owner,
    People,
    SubjectJudgement,
    SubjectThere,
    judge,
    subject_there,
)

BASE = "https://ehr.test/fhir"
PUBLIC = "https://public.ehr.test/r4"
ANN, BOB = "ann", "bob"
ANNS, BOBS = ("urn:ward", "1"), ("urn:ward", "2")
#: Ann is Patient/1, into whom Patient/10 was merged; Bob is Patient/2.
PEOPLE = People({"1": ANN, "10": ANN, "2": BOB}, {ANNS: ANN, BOBS: BOB})


def identified(name: tuple[str, str], **members: Any) -> Tree:
    return {"identifier": {"system": name[0], "value": name[1]}, **members}


def to(reference: str, **members: Any) -> Tree:
    return {"reference": reference, **members}


def about(subject: object) -> Tree:
    goal = {"resourceType": "Goal", "id": "g"}
    return goal if subject is None else {**goal, "subject": subject}


def anns(before: object) -> Owner:
    """Ann's record, whose copy said its subject so when it was last seen."""
    return Owner(ANN, subject_there(about(before), BASE))


UNTOLD = NotTaken(Finding("Goal.subject", "does not tell which patient it is about", "business-rule"))
TWO_THINGS = "says two things: its identifier is another patient's here"
STRANGER = Nobody.STRANGER


@pytest.mark.parametrize(
    ("subject", "asked", "judgement"),
    [
        pytest.param(to("Patient/1"), [], About(ANN), id="a patient"),
        pytest.param(to(f"{BASE}/Patient/1"), [], About(ANN), id="absolute"),
        pytest.param(to("Patient/1/_history/4"), [], About(ANN), id="a version of a patient"),
        pytest.param(to("Patient/10"), [], About(ANN), id="who was merged into a patient"),
        pytest.param(to("Patient/77"), [], STRANGER, id="a stranger"),
        pytest.param(to("Patient/77"), ["1"], STRANGER, id="a stranger among what was asked for"),
        pytest.param(to("Patient/1", display="Bob", type="Patient"), [], About(ANN), id="a display"),
        pytest.param(to("Patient/1", **identified(ANNS)), [], About(ANN), id="said twice"),
        pytest.param(
            to("Patient/1", **identified(("urn:x", "9"))), [], About(ANN), id="an unknown name beside"
        ),
        pytest.param(
            to("Patient/1", **identified(BOBS)),
            [],
            NotTaken(Finding("Goal.subject", TWO_THINGS, "business-rule"), ANN),
            id="two things",
        ),
        pytest.param(to("Patient/77", **identified(ANNS)), [], STRANGER, id="a stranger with a name of ours"),
        pytest.param(identified(ANNS), [], About(ANN), id="by identifier"),
        pytest.param(identified(ANNS, type="Patient"), [], About(ANN), id="by identifier and type"),
        pytest.param(identified(ANNS, type="Group"), [], UNTOLD, id="a group by identifier"),
        pytest.param(identified(("urn:x", "9")), [], UNTOLD, id="by an unknown identifier"),
        pytest.param({"identifier": {"value": "1"}}, [], UNTOLD, id="by an identifier without a system"),
        pytest.param(
            to(f"{PUBLIC}/Patient/1"), ["1"], About(ANN), id="another name of the server, asked for"
        ),
        pytest.param(to(f"{PUBLIC}/Patient/1/_history/2"), ["1", "2"], About(ANN), id="there, a version"),
        pytest.param(to(f"{PUBLIC}/Patient/1"), ["2"], UNTOLD, id="elsewhere, somebody else asked for"),
        pytest.param(to(f"{PUBLIC}/Patient/1"), [], UNTOLD, id="elsewhere, nobody asked for"),
        pytest.param(to(f"{PUBLIC}/Patient/77"), ["1"], UNTOLD, id="elsewhere, a stranger"),
        pytest.param(
            to(f"{PUBLIC}/Patient/1", **identified(BOBS)),
            ["1"],
            NotTaken(Finding("Goal.subject", TWO_THINGS, "business-rule"), ANN),
            id="elsewhere, two things",
        ),
        pytest.param(to(f"{PUBLIC}/Patient/1", **identified(ANNS)), [], About(ANN), id="elsewhere, by name"),
        pytest.param(to("Group/1"), [], UNTOLD, id="a group"),
        pytest.param(to("Group/1", **identified(ANNS)), [], UNTOLD, id="a group with a patient's name"),
        pytest.param(to("#p1"), ["1"], UNTOLD, id="contained"),
        pytest.param(to("urn:uuid:3f0e9d06-3a3c-4d6c-9d7e-2f6f5f0c3a11"), [], UNTOLD, id="a placeholder"),
        pytest.param(to("Patient?identifier=urn:ward|1"), ["1"], UNTOLD, id="a search"),
        pytest.param({"display": "Ann"}, ["1"], UNTOLD, id="a display alone"),
        pytest.param({}, ["1"], UNTOLD, id="an empty subject"),
        pytest.param("Patient/1", ["1"], UNTOLD, id="a text"),
        pytest.param([to("Patient/1")], ["1"], UNTOLD, id="a list"),
        pytest.param(None, ["1"], UNTOLD, id="absent"),
    ],
)
def test_what_is_no_copy_of_ours_is_about_whom_it_says(
    subject: object, asked: list[str], judgement: SubjectJudgement
) -> None:
    assert judge(about(subject), BASE, PEOPLE, None, asked) == judgement


SOON_MERGED = People({"3": ANN, "1": ANN, "2": BOB}, {ANNS: ANN, BOBS: BOB})
MATCHED_ELSEWHERE = People({"3": ANN, "2": BOB}, {ANNS: ANN, BOBS: BOB})


@pytest.mark.parametrize(
    ("before", "subject", "people", "judgement"),
    [
        pytest.param(to("Patient/1"), to("Patient/1"), PEOPLE, About(ANN), id="as it was"),
        pytest.param(to("Patient/1"), to(f"{BASE}/Patient/1"), PEOPLE, About(ANN), id="in another form"),
        pytest.param(to("Patient/1"), to("Patient/1", display="A"), PEOPLE, About(ANN), id="with a display"),
        pytest.param(
            to("Patient/1"),
            to("Patient/1"),
            MATCHED_ELSEWHERE,
            About(ANN),
            id="as it was, matched elsewhere by now",
        ),
        pytest.param(
            to("Patient/2"), to("Patient/2"), PEOPLE, About(ANN), id="as it was, another's match by now"
        ),
        pytest.param(to("Patient/1"), to("Patient/3"), SOON_MERGED, About(ANN), id="merged there"),
        pytest.param(
            to("Patient/1"), to("Patient/10"), PEOPLE, About(ANN), id="to who was merged into the patient"
        ),
        pytest.param(to("Patient/1"), to("Patient/2"), PEOPLE, Moved("2", BOB), id="to another patient"),
        pytest.param(to("Patient/1"), to("Patient/77"), PEOPLE, Moved("77"), id="to a stranger"),
        pytest.param(
            to("Patient/1"),
            to("Patient/77", **identified(BOBS)),
            PEOPLE,
            Moved("77", BOB),
            id="to a stranger with another's name",
        ),
        pytest.param(
            to("Patient/1"), to("Patient/1", **identified(BOBS)), PEOPLE, Moved("1"), id="two things by now"
        ),
        pytest.param(
            to("Patient/1"), to("Patient/1", **identified(ANNS)), PEOPLE, About(ANN), id="said twice"
        ),
        pytest.param(to("Patient/1"), identified(ANNS), PEOPLE, About(ANN), id="by name by now"),
        pytest.param(to("Patient/1"), identified(BOBS), PEOPLE, Moved(None, BOB), id="by another's name"),
        pytest.param(
            to("Patient/1"), to(f"{PUBLIC}/Patient/1"), PEOPLE, About(ANN), id="another name of the server"
        ),
        pytest.param(
            to("Patient/1"), to(f"{PUBLIC}/Patient/2"), PEOPLE, Moved(None, None), id="elsewhere, another id"
        ),
        pytest.param(
            to(f"{PUBLIC}/Patient/1"),
            to(f"{PUBLIC}/Patient/1"),
            MATCHED_ELSEWHERE,
            About(ANN),
            id="elsewhere, as it was",
        ),
        pytest.param(to("Patient/1"), to("Group/1"), PEOPLE, Moved(), id="to a group"),
        pytest.param(
            to("Patient/1"),
            to("Group/1", **identified(ANNS)),
            PEOPLE,
            Moved(),
            id="to a group, the name stays",
        ),
        pytest.param(to("Patient/1"), to("#p"), PEOPLE, Moved(), id="to somebody contained"),
        pytest.param(to("Patient/1"), None, PEOPLE, Moved(), id="to nobody"),
        pytest.param(None, None, PEOPLE, Moved(), id="to nobody, as before"),
        pytest.param(None, to("Patient/1"), PEOPLE, About(ANN), id="to its patient, never seen before"),
        pytest.param(None, to("Patient/2"), PEOPLE, Moved("2", BOB), id="to another one, never seen before"),
        pytest.param(to("Patient/2"), to("Patient/1"), PEOPLE, About(ANN), id="back to its patient"),
    ],
)
def test_a_copy_moved_when_the_server_has_changed_whose_it_is(
    before: object, subject: object, people: People, judgement: SubjectJudgement
) -> None:
    assert judge(about(subject), BASE, people, anns(before)) == judgement


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(to("Patient/1", **identified(ANNS)), SubjectThere("1", None, ANNS), id="relative"),
        pytest.param(to(f"{BASE}/Patient/1"), SubjectThere("1"), id="absolute"),
        pytest.param(to(f"{PUBLIC}/Patient/1"), SubjectThere(None, "1"), id="another name"),
        pytest.param(
            to("https://ehr.test/fhir2/Patient/1"), SubjectThere(None, "1"), id="a name that begins so"
        ),
        pytest.param(to(f"{PUBLIC}/Patient/{'x' * 65}"), SubjectThere(), id="an id that is too long"),
        pytest.param(to(f"{PUBLIC}/Patient/1/extra"), SubjectThere(), id="something behind it"),
        pytest.param(to(f"{PUBLIC}/Group/1", **identified(ANNS)), SubjectThere(), id="a group with a name"),
    ],
)
def test_a_subject_is_read_in_every_form_that_servers_give_it(subject: Tree, expected: SubjectThere) -> None:
    assert subject_there(about(subject), BASE) == expected
