"""The law of every row: a record's subject is its patient, said once or twice, by people and by servers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import references
from service.chart import Chart, ownership, targets
from service.chart.ownership import Origin
from service.errors import Conflict, InvalidContent
from service.store import tables
from service.store.database import Database
from service.store.deployment import identifier_system
from tests import builders
from tests.clock import Clock
from tests.databases import MOMENT, contents, opened

#: Ann's records are written; Bob is somebody else, and Old turned out to be Ann.
ANN, BOB, OLD = "ann", "bob", "old"
EHR = "https://ehr.example/fhir"


def named(value: str, system: str = builders.CLINIC) -> Tree:
    return {"system": system, "value": value}


ANNS, BOBS, NOBODYS = named("A-1"), named("B-1"), named("Z-9")


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Three patients, a goal of each of the living, and a server on which they are known."""
    path: Path = tmp_path_factory.mktemp("ownership") / "mainstay.db"
    with opened(f"sqlite:///{path}") as database:
        with database.begin() as session:
            for patient, merged in ((ANN, None), (BOB, None), (OLD, ANN)):
                session.add(
                    tables.Patient(id=patient, created_at=MOMENT, created_by="nurse", merged_into=merged)
                )
                session.flush()
            for patient, identifier in ((ANN, ANNS), (BOB, BOBS)):
                session.add(
                    tables.PatientIdentifier(
                        patient_id=patient, system=identifier["system"], value=identifier["value"]
                    )
                )
        chart = Chart(database, Clock())
        for patient in (ANN, BOB):
            chart.create(builders.goal(patient), "nurse", record_id=f"{patient}s-goal")
        with database.begin() as session:
            session.add(tables.Connection(id="ehr", name="ehr", base_url=EHR, created_at=MOMENT))
            session.flush()
            for patient in (ANN, BOB):
                session.add(
                    tables.PatientLink(
                        patient_id=patient,
                        connection_id="ehr",
                        server_id=f"{patient}-there",
                        state="matched",
                        is_stale=False,
                        checked_at=MOMENT,
                    )
                )
                session.add(
                    tables.Link(
                        record_id=f"{patient}s-goal",
                        connection_id="ehr",
                        resource_type="Goal",
                        server_id=f"{patient}s-goal-there",
                        state="synced",
                        updated_at=MOMENT,
                    )
                )
        yield database


def refused(
    database: Database, tree: Tree, origin: Origin, before: Tree | None = None, patient: str | None = ANN
) -> list[str]:
    """Return the paths for which a row of Ann's is refused."""
    with database.read() as session:
        system = identifier_system(session)
        try:
            ownership.require(session, tree, patient, system, origin=origin, before=before)
        except InvalidContent as refusal:
            return [finding.path for finding in refusal.findings]
    return []


def extension(reference: Tree) -> list[Tree]:
    return [{"url": "https://other.example/x", "valueReference": reference}]


#: Where a reference can stand: the tree that holds it, and its path. The first three say whom it is about.
PLACES: dict[str, tuple[Callable[[Tree], Tree], str]] = {
    "subject": (lambda one: builders.goal(id="g", subject=one), "Goal.subject"),
    "contained subject": (
        lambda one: builders.goal(
            ANN, id="g", contained=[{**builders.activity(), "id": "c", "subject": one}]
        ),
        "Goal.contained[0].subject",
    ),
    "contained patient": (
        lambda one: builders.goal(
            ANN, id="g", contained=[{"resourceType": "RelatedPerson", "id": "c", "patient": one}]
        ),
        "Goal.contained[0].patient",
    ),
    "author": (lambda one: builders.care_plan(ANN, id="g", author=one), "CarePlan.author"),
    "expressedBy": (lambda one: builders.goal(ANN, id="g", expressedBy=one), "Goal.expressedBy"),
    "source": (
        lambda one: builders.questionnaire_response(ANN, id="g", source=one),
        "QuestionnaireResponse.source",
    ),
    "note": (
        lambda one: builders.goal(ANN, id="g", note=[{"authorReference": one, "text": "x"}]),
        "Goal.note[0].authorReference",
    ),
    "extension": (
        lambda one: builders.goal(ANN, id="g", extension=extension(one)),
        "Goal.extension[0].valueReference",
    ),
    "sibling of a primitive": (
        lambda one: builders.goal(ANN, id="g", _startDate={"extension": extension(one)}),
        "Goal._startDate.extension[0].valueReference",
    ),
}
WHO_IT_IS_ABOUT = ["subject", "contained subject", "contained patient"]
WHO_SPEAKS = [place for place in PLACES if place not in WHO_IT_IS_ABOUT]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/ann"},
        {"reference": "Patient/ann/_history/3"},
        {"reference": "Patient/ann", "type": "Patient", "identifier": ANNS, "display": "Ann"},
    ],
    ids=["once", "a version", "twice the same"],
)
def test_a_patient_may_be_said_of_their_own_record_once_or_twice(
    practice: Database, place: str, origin: Origin, reference: Tree
) -> None:
    tree, _ = PLACES[place]
    assert refused(practice, tree(reference), origin) == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/ann", "identifier": BOBS},
        {"reference": "Patient/bob", "identifier": ANNS},
        {"reference": "Patient/ann/_history/1", "identifier": BOBS},
        {"reference": "Patient/old"},
        {"reference": "Patient/nobody"},
        {"reference": f"Patient?identifier={builders.CLINIC}|B-1"},
    ],
    ids=["Ann with Bob's", "Bob with Ann's", "a version, with Bob's", "merged", "unknown", "a search"],
)
def test_a_reference_that_says_two_persons_or_nobody_is_refused_wherever_it_stands(
    practice: Database, place: str, origin: Origin, reference: Tree
) -> None:
    tree, path = PLACES[place]
    said_by_people = origin is Origin.PEOPLE and "identifier" in reference
    expected = f"{path}.identifier" if said_by_people else path
    found = refused(practice, tree(reference), origin)
    assert expected in found
    assert set(found) <= {path, f"{path}.identifier"}


@pytest.mark.parametrize("place", WHO_IT_IS_ABOUT)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/bob"},
        {"reference": "Patient/bob/_history/1"},
        {"reference": "Patient/bob", "identifier": BOBS},
        {"type": "Patient", "identifier": BOBS},
        {"identifier": BOBS},
    ],
    ids=["address", "version", "both", "identifier and type", "identifier"],
)
def test_nothing_in_a_record_is_about_another_patient(
    practice: Database, place: str, origin: Origin, reference: Tree
) -> None:
    tree, path = PLACES[place]
    assert refused(practice, tree(reference), origin) == [path]


@pytest.mark.parametrize("place", WHO_SPEAKS)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/bob"},
        {"reference": "Patient/bob", "identifier": BOBS},
        {"type": "Patient", "identifier": BOBS},
        {"reference": "Practitioner/7", "identifier": BOBS},
        {"reference": "https://other.example/fhir/Patient/9", "identifier": NOBODYS},
        {"type": "RelatedPerson", "identifier": NOBODYS},
    ],
)
def test_another_person_may_speak_in_a_record(
    practice: Database, place: str, origin: Origin, reference: Tree
) -> None:
    tree, _ = PLACES[place]
    assert refused(practice, tree(reference), origin) == []


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "subject",
    [
        None,
        {"display": "Ann"},
        {"type": "Patient"},
        {"extension": [{"url": "https://other.example/x", "valueCode": "unknown"}]},
        {"identifier": ANNS},
        {"reference": "#p"},
        {"reference": "Group/1"},
        {"reference": "Group/ann"},
        {"reference": "https://ehr.example/fhir/Patient/ann"},
        {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        {"reference": "Patient/ann/"},
    ],
)
def test_a_row_whose_subject_is_not_said_as_ours_is_refused(
    practice: Database, origin: Origin, subject: Tree | None
) -> None:
    contained = [{"resourceType": "Patient", "id": "p"}]
    tree = builders.goal(id="g", contained=contained, subject=subject)
    assert "Goal.subject" in refused(practice, tree, origin)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "#p"},
        {"reference": "Group/1"},
        {"reference": "https://ehr.example/fhir/Patient/ann-there"},
        {"reference": "https://other.example/fhir/Patient/ann"},
        {"identifier": NOBODYS},
    ],
    ids=["contained", "group", "there", "elsewhere", "unregistered"],
)
@pytest.mark.parametrize("place", ["contained subject", "contained patient"])
def test_what_people_put_into_a_record_says_a_registered_patient_and_what_servers_put_may_not(
    practice: Database, place: str, subject: Tree
) -> None:
    tree, path = PLACES[place]
    assert refused(practice, tree(subject), Origin.PEOPLE) == [path]
    assert refused(practice, tree(subject), Origin.SERVER) == []


@pytest.mark.parametrize("place", PLACES)
def test_an_unregistered_identifier_beside_a_reference_is_refused_of_people_and_taken_of_a_server(
    practice: Database, place: str
) -> None:
    tree, path = PLACES[place]
    said = tree({"reference": "Patient/ann", "identifier": NOBODYS})
    assert refused(practice, said, Origin.PEOPLE) == [f"{path}.identifier"]
    assert refused(practice, said, Origin.SERVER) == []
    # What the server said is not held against who changes something else.
    assert refused(practice, {**said, "language": "de"}, Origin.PEOPLE, before=said) == []
    other = tree({"reference": "Patient/ann", "identifier": named("Z-8")})
    assert refused(practice, other, Origin.PEOPLE, before=said) == [f"{path}.identifier"]


@pytest.mark.parametrize("place", WHO_SPEAKS)
@pytest.mark.parametrize(
    ("reference", "people", "server"),
    [
        ({"reference": "Patient/bob", "type": "Practitioner"}, ".type", None),
        ({"reference": "Practitioner/7", "type": "Patient", "identifier": ANNS}, ".type", None),
        ({"reference": "Patient/bob", "type": "Device"}, ".type", None),
    ],
)
def test_a_type_that_contradicts_the_reference_is_refused_of_people(
    practice: Database, place: str, reference: Tree, people: str, server: str | None
) -> None:
    tree, path = PLACES[place]
    assert refused(practice, tree(reference), Origin.PEOPLE) == [f"{path}{people}"]
    assert refused(practice, tree(reference), Origin.SERVER) == []


@pytest.mark.parametrize("place", WHO_SPEAKS)
@pytest.mark.parametrize(
    "literal",
    ["/Patient/bob", "Patient/bob#x", "patient/bob", "Goal/", "../Goal/bobs-goal", "Patient", "bob"],
)
def test_an_address_that_cannot_be_read_here_is_refused_of_people(
    practice: Database, place: str, literal: str
) -> None:
    """Who receives it may read it in a way of their own."""
    tree, path = PLACES[place]
    assert refused(practice, tree({"reference": literal}), Origin.PEOPLE) == [path]


def goals(*references: Tree) -> Tree:
    return builders.care_plan(ANN, id="g", goal=list(references))


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    ("literal", "is_refused"),
    [
        ("Goal/anns-goal", False),
        ("Goal/anns-goal/_history/1", False),
        ("Goal/bobs-goal", True),
        ("Goal/bobs-goal/_history/1", True),
        ("Goal/nothing", True),
        ("Goal?identifier=https://clinic.example/goals|7", True),
        ("https://ehr.example/fhir/Goal?identifier=7", True),
        ("https://ehr.example/fhir/Goal/?identifier=7", True),
        ("https://other.example/fhir/Goal/1", False),
        ("https://ehr.example/fhir/Goal/seen-by-nobody", False),
        ("urn:oid:1.2.3?x", False),
    ],
)
def test_a_record_refers_to_its_own_patients_records(
    practice: Database, origin: Origin, literal: str, is_refused: bool
) -> None:
    found = refused(practice, goals({"reference": "Goal/anns-goal"}, {"reference": literal}), origin)
    assert found == (["CarePlan.goal[1]"] if is_refused else [])


@pytest.mark.parametrize(
    ("literal", "people"),
    [
        (f"{EHR}/Goal/anns-goal-there", []),
        (f"{EHR}/Goal/bobs-goal-there", ["CarePlan.goal[0]"]),
        (f"{EHR}/Goal/bobs-goal-there/_history/2", ["CarePlan.goal[0]"]),
    ],
)
def test_people_do_not_reach_another_patients_record_by_way_of_its_copy(
    practice: Database, literal: str, people: list[str]
) -> None:
    tree = goals({"reference": literal})
    assert refused(practice, tree, Origin.PEOPLE) == people
    # The server's own plan says so, and it is not ours to say otherwise.
    assert refused(practice, tree, Origin.SERVER) == []
    assert refused(practice, {**tree, "language": "de"}, Origin.PEOPLE, before=tree) == []


def test_people_do_not_name_a_patient_there_by_anothers_identifier(practice: Database) -> None:
    said = {"reference": f"{EHR}/Patient/bob-there", "identifier": ANNS}
    assert refused(practice, builders.goal(ANN, id="g", expressedBy=said), Origin.PEOPLE) == [
        "Goal.expressedBy"
    ]


@pytest.mark.parametrize("origin", Origin)
def test_a_record_carries_no_other_records_identifier(practice: Database, origin: Origin) -> None:
    with practice.read() as session:
        system = identifier_system(session)
    foreign, own, anothers = named("7"), named("g", system), named("bobs-goal", system)
    assert refused(practice, builders.goal(ANN, id="g", identifier=[foreign, own]), origin) == []
    tree = builders.goal(ANN, id="g", identifier=[foreign, anothers])
    assert refused(practice, tree, origin) == ["Goal.identifier[1]"]
    tree = builders.questionnaire_response(ANN, id="g", identifier=anothers)
    assert refused(practice, tree, origin) == ["QuestionnaireResponse.identifier"]


@pytest.mark.parametrize("origin", Origin)
def test_a_questionnaire_is_no_patients(practice: Database, origin: Origin) -> None:
    assert refused(practice, builders.questionnaire(id="q"), origin, patient=None) == []
    assert refused(practice, builders.questionnaire(id="q"), origin, patient=ANN) == ["Questionnaire"]
    assert refused(practice, builders.goal(ANN, id="g"), origin, patient=None) == ["Goal.subject"]


def test_every_finding_comes_at_once(practice: Database) -> None:
    tree = builders.care_plan(
        BOB,
        id="g",
        author={"reference": "Patient/ann", "identifier": BOBS},
        goal=[{"reference": "Goal/bobs-goal"}],
    )
    assert refused(practice, tree, Origin.SERVER) == [
        "CarePlan.subject",
        "CarePlan.author",
        "CarePlan.goal[0]",
    ]


def test_contradictions_need_no_database() -> None:
    register = targets.Register(
        owners={"bobs-goal": ("Goal", BOB)}, patients={ANN: None}, names={(builders.CLINIC, "B-1"): BOB}
    )
    tree = builders.care_plan(
        id="g",
        subject={"reference": "Patient/ann", "identifier": BOBS},
        goal=[{"reference": "Goal/bobs-goal"}],
    )
    found = ownership.contradictions(tree, ANN, "urn:ours", references(tree), register)
    assert [(one.path, one.code) for one in found] == [
        ("CarePlan.subject", "business-rule"),
        ("CarePlan.goal[0]", "not-found"),
    ]


# Through the chart, on each engine.


@pytest.fixture
def ann(chart: Chart) -> str:
    return chart.register_patient([(builders.CLINIC, "A-1")], "nurse").id


@pytest.fixture
def bob(chart: Chart) -> str:
    return chart.register_patient([(builders.CLINIC, "B-1")], "nurse").id


def subjects(ann: str) -> list[tuple[Any, str]]:
    return [
        (None, "Goal.subject"),
        ({"display": "Ann"}, "Goal.subject"),
        ({"reference": "#p"}, "Goal.subject"),
        ({"reference": "Group/1"}, "Goal.subject"),
        ({"reference": f"https://here.example/fhir/Patient/{ann}"}, "Goal.subject"),
        ({"reference": "Patient/nobody"}, "Goal.subject"),
        ({"identifier": NOBODYS}, "Goal.subject"),
        ({"identifier": {"value": "A-1"}}, "Goal.subject"),
        ({"identifier": {"type": {"text": "MRN"}}}, "Goal.subject"),
        ({"type": "Group", "identifier": ANNS}, "Goal.subject.type"),
        ({"reference": f"Patient/{ann}", "identifier": BOBS}, "Goal.subject.identifier"),
        ({"reference": f"Patient/{ann}", "identifier": NOBODYS}, "Goal.subject.identifier"),
        ({"reference": f"Patient/{ann}", "type": "Group"}, "Goal.subject.type"),
    ]


@pytest.mark.parametrize("number", range(len(subjects(""))))
def test_people_say_a_subject_who_is_registered_and_one_person(
    database: Database, chart: Chart, ann: str, bob: str, number: int
) -> None:
    subject, path = subjects(ann)[number]
    before = contents(database)
    is_contained = subject == {"reference": "#p"}
    contained = [{"resourceType": "Patient", "id": "p"}] if is_contained else None
    tree = builders.goal(subject=subject, contained=contained)
    with pytest.raises(InvalidContent) as refusal:
        chart.create(tree, "nurse")
    assert [finding.path for finding in refusal.value.findings] == [path]
    assert contents(database) == before


def test_what_another_patient_has_is_refused_in_the_words_for_what_nobody_has(
    chart: Chart, ann: str, bob: str
) -> None:
    """Whoever is confined to Ann could ask so who else is a patient here, and what they have."""
    theirs = chart.create(builders.goal(bob), "nurse").id

    def refusal(**elements: Any) -> list[Any]:
        with pytest.raises(InvalidContent) as refused_with:
            chart.create(builders.care_plan(ann, **elements), "nurse")
        return refused_with.value.findings

    named = {"reference": f"Patient/{ann}"}
    assert refusal(author={**named, "identifier": BOBS}) == refusal(author={**named, "identifier": NOBODYS})
    assert refusal(goal=[{"reference": f"Goal/{theirs}"}]) == refusal(goal=[{"reference": "Goal/none"}])


@pytest.mark.parametrize(
    "subject",
    [
        lambda ann: {"reference": f"Patient/{ann}"},
        lambda ann: {"reference": f"Patient/{ann}/_history/1"},
        lambda ann: {"identifier": ANNS},
        lambda ann: {"type": "Patient", "identifier": ANNS, "display": "Ann"},
        lambda ann: {"reference": f"Patient/{ann}", "identifier": ANNS},
    ],
)
def test_people_say_a_subject_by_address_by_identifier_or_both(
    chart: Chart, ann: str, subject: Callable[[str], Tree]
) -> None:
    assert chart.create(builders.goal(subject=subject(ann)), "nurse").patient_id == ann


def from_server(chart: Chart, database: Database, tree: Tree, patient: str) -> str:
    """Take a resource in as a pull does; return the record's id."""
    from service.chart.writes import Change

    change = Change(actor="connection:ehr", action="pull", at=MOMENT, origin=Origin.SERVER)
    with database.begin() as session:
        return chart.save_from_server(session, tree, patient, change).id


@pytest.mark.parametrize("element", ["subject", "expressedBy"])
def test_nobody_is_registered_by_an_identifier_that_a_record_means_another_patient_by(
    chart: Chart, database: Database, ann: str, bob: str, element: str
) -> None:
    """Else the row would say two persons from then on, and a backup of it could not be restored."""
    said = {"reference": f"Patient/{ann}", "identifier": NOBODYS}
    goal = from_server(chart, database, builders.goal(ann, id="theirs", **{element: said}), ann)
    before = contents(database)
    with pytest.raises(Conflict, match=goal):
        chart.register_patient([(NOBODYS["system"], NOBODYS["value"])], "nurse")
    with pytest.raises(Conflict, match=goal):
        chart.register_patient(
            [(builders.CLINIC, "B-1"), (NOBODYS["system"], NOBODYS["value"])], "nurse", also=True
        )
    assert contents(database) == before
    # Who it means may be called so, and once nothing says it any more, so may anybody.
    assert (
        chart.register_patient(
            [(builders.CLINIC, "A-1"), (NOBODYS["system"], NOBODYS["value"])], "nurse", also=True
        ).id
        == ann
    )


def test_an_identifier_that_no_record_says_any_more_is_free(
    chart: Chart, database: Database, ann: str, bob: str
) -> None:
    said = {"reference": f"Patient/{ann}", "identifier": NOBODYS}
    goal = from_server(chart, database, builders.goal(ann, id="theirs", expressedBy=said), ann)
    chart.replace(goal, builders.goal(ann), "nurse")
    assert chart.register_patient([(NOBODYS["system"], NOBODYS["value"])], "nurse").id not in (ann, bob)
