"""What a record names by identifier gets an address if it is nobody's, or the record's patient's."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_mappings.exact_json import Tree
from fhir_mappings.r4 import RESOURCE_TYPES
from service.sync.identity.reference_targets import OF_NOBODY, OWNER_ELEMENT, is_looked_for
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import PatientsThere
from tests.service.sync.servers import outcome, rewritten
from tests.service.sync.things_there import named, of, searches, standing

FINDINGS = "urn:test:findings"
NAMED_BY_GOALS = ["Observation", "ServiceRequest", "RiskAssessment", "MedicationStatement"]
#: Element of an activity -> a type that it may name.
NAMED_BY_ACTIVITIES = [
    ("reasonReference", "Observation"),
    ("reasonReference", "DiagnosticReport"),
    ("reasonReference", "DocumentReference"),
    ("basedOn", "MedicationRequest"),
    ("insurance", "Coverage"),
    ("specimen", "Specimen"),
    ("performer", "CareTeam"),
    ("performer", "Device"),
    ("supportingInfo", "Task"),
    ("supportingInfo", "AllergyIntolerance"),
]
#: What R4 wants of them beside.
MORE: dict[str, Tree] = {
    "Coverage": {"status": "active", "payor": [{"display": "the insurer"}]},
    "Observation": {"status": "final", "code": {"text": "pain"}},
    "ServiceRequest": {"status": "active", "intent": "order"},
}


def thing(office: Office, resource_type: str, patient: str | None, value: str = "7") -> str:
    """Have something of a type there, of a patient if somebody's."""
    tree = {"resourceType": resource_type, "identifier": [{"system": FINDINGS, "value": value}]}
    owner = {OWNER_ELEMENT[resource_type]: of(patient)} if patient else {}
    return str(office.post({**tree, **MORE.get(resource_type, {}), **owner})["id"])


def naming(resource_type: str, value: str = "7") -> Tree:
    return named(resource_type, FINDINGS, value)


def in_goal(office: Office, record: str) -> Tree:
    (reference,) = office.there("Goal", record)["addresses"]
    return dict(reference)


@pytest.mark.parametrize("resource_type", NAMED_BY_GOALS)
def test_what_a_goal_addresses_gets_no_address_of_another_patients(
    office: Office, ehr: EHR, resource_type: str
) -> None:
    bob, bob_there = office.patient()
    theirs = thing(office, resource_type, bob_there)
    goal = office.goal(addresses=[naming(resource_type)])
    their_goal = office.goal(patient=bob, addresses=[naming(resource_type)])
    office.sync.push()
    assert office.states() == {"synced": 2}
    assert in_goal(office, goal) == naming(resource_type)
    assert in_goal(office, their_goal)["reference"] == f"{resource_type}/{theirs}"


@pytest.mark.parametrize(("element", "resource_type"), NAMED_BY_ACTIVITIES)
def test_what_an_activity_names_is_the_patients_own_or_travels_by_name(
    office: Office, ehr: EHR, element: str, resource_type: str
) -> None:
    _, bob_there = office.patient()
    thing(office, resource_type, bob_there, "both")
    thing(office, resource_type, bob_there, "theirs")
    ours = thing(office, resource_type, office.patient_there, "both")
    names = [naming(resource_type, one) for one in ("both", "theirs", "nowhere")]
    activity = office.activity(office.patient_id, **{element: names})
    office.sync.push()
    assert standing(office, activity) == "synced"
    there = office.there("ServiceRequest", activity)[element]
    assert there == [{"reference": f"{resource_type}/{ours}", **names[0]}, *names[1:]]


def test_the_encounter_of_an_activity_is_the_patients_own(office: Office, ehr: EHR) -> None:
    thing(office, "Encounter", office.patient()[1])
    activity = office.activity(encounter=naming("Encounter"))
    office.sync.push()
    assert office.there("ServiceRequest", activity)["encounter"] == naming("Encounter")


def test_a_device_that_is_said_to_be_nobodys_travels_by_name(office: Office, ehr: EHR) -> None:
    thing(office, "Device", None)
    activity = office.activity(performer=[naming("Device")])
    office.sync.push()
    assert office.there("ServiceRequest", activity)["performer"] == [naming("Device")]


def test_two_of_the_patients_own_travel_by_name(office: Office, ehr: EHR) -> None:
    for _ in range(2):
        thing(office, "Observation", office.patient_there)
    goal = office.goal(addresses=[naming("Observation")])
    office.sync.push()
    assert standing(office, goal) == "synced"
    assert in_goal(office, goal) == naming("Observation")


def test_a_finding_of_who_was_merged_into_the_patient_is_theirs(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    old = thing(office, "Observation", office.patient_there)
    there.merge(office.patient_there, into=there.add())
    new = office.goal(addresses=[naming("Observation")])
    office.sync.push()
    assert in_goal(office, new)["reference"] == f"Observation/{old}"


def test_what_travelled_by_name_comes_back_the_same(office: Office, ehr: EHR) -> None:
    thing(office, "Observation", office.patient()[1])
    thing(office, "Observation", office.patient_there, "own")
    goal = office.goal(addresses=[naming("Observation"), naming("Observation", "own")])
    office.sync.push()
    before = office.chart.get("Goal", goal)
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, statusDate="2026-03-01")
    office.sync.run()
    assert office.here("Goal", goal)["addresses"] == before.tree["addresses"]
    assert office.here("Goal", goal)["statusDate"] == "2026-03-01"


@pytest.mark.parametrize("resource_type", ["Organization", "Location", "HealthcareService"])
def test_places_and_organisations_are_everybodys(office: Office, ehr: EHR, resource_type: str) -> None:
    gym = thing(office, resource_type, None)
    element = "locationReference" if resource_type == "Location" else "performer"
    people = [office.patient_id, office.patient()[0]]
    activities = [office.activity(patient=one, **{element: [naming(resource_type)]}) for one in people]
    office.sync.push()
    there = [office.there("ServiceRequest", one)[element][0]["reference"] for one in activities]
    assert there == [f"{resource_type}/{gym}"] * 2


@pytest.mark.parametrize("resource_type", ["Group", "Appointment", "Account", "Person"])
def test_what_is_not_known_to_be_anybodys_or_nobodys_is_not_looked_for(
    office: Office, ehr: EHR, resource_type: str
) -> None:
    tree: Tree = {"resourceType": resource_type, "identifier": [{"system": FINDINGS, "value": "7"}]}
    group = {"type": "person", "actual": True} if resource_type == "Group" else {}
    office.post({**tree, **group})
    ehr.forget()
    activity = office.activity(supportingInfo=[naming(resource_type)])
    office.sync.push()
    assert searches(ehr, resource_type) == 0
    assert office.there("ServiceRequest", activity)["supportingInfo"] == [naming(resource_type)]


@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_search_for_a_finding_that_fails_holds_up_no_record(office: Office, ehr: EHR, status: int) -> None:
    goal = office.goal(addresses=[naming("Observation")])
    ehr.before = lambda request: outcome(status) if request.path == "/fhir/Observation" else None
    office.sync.push()
    assert standing(office, goal) == "synced"
    assert in_goal(office, goal) == naming("Observation")


def test_what_a_search_shows_beside_what_was_asked_for_is_not_taken_for_it(office: Office, ehr: EHR) -> None:
    """Somebody's employer can carry the number that they are known by."""
    doctor = thing(office, "Practitioner", None)
    employer = {"resourceType": "Organization", "id": "e", "identifier": [{"system": FINDINGS, "value": "7"}]}

    def with_employer(bundle: Tree) -> Tree:
        return {**bundle, "entry": [{"resource": employer, "search": {"mode": "include"}}, *bundle["entry"]]}

    ehr.after = lambda request, response: (
        rewritten(response, with_employer) if request.path == "/fhir/Practitioner" else None
    )
    goal = office.goal(expressedBy=naming("Practitioner"))
    office.sync.push()
    assert office.there("Goal", goal)["expressedBy"]["reference"] == f"Practitioner/{doctor}"


def elements(resource_type: str) -> dict[str, tuple[bool, list[str]]]:
    """Return the references that R4 gives a type: whether there is but one, and what to."""
    model: Any = get_fhir_model_class(resource_type)
    told = {}
    for key, field in model.model_fields.items():
        extra = field.json_schema_extra or {}
        targets = extra.get("enum_reference_types")
        if targets:
            told[field.alias or key] = ("list[" not in str(field.annotation).lower(), list(targets))
    return told


def test_every_owner_is_one_reference_of_r4_that_may_be_to_a_patient() -> None:
    for resource_type, element in OWNER_ELEMENT.items():
        is_one, targets = elements(resource_type)[element]
        assert is_one, resource_type
        assert {"Patient", "Resource"} & set(targets), resource_type


def test_every_type_that_r4_gives_one_subject_or_patient_is_judged_by_it() -> None:
    for resource_type in RESOURCE_TYPES:
        try:
            known = elements(resource_type)
        except ValueError:
            # R4B, of which we have a definition, has no such type.
            continue
        has_identifier = "identifier" in get_fhir_model_class(resource_type).model_fields
        for element in ("subject", "patient"):
            is_one, targets = known.get(element, (False, []))
            if is_one and has_identifier and {"Patient", "Resource"} & set(targets):
                assert OWNER_ELEMENT.get(resource_type) == element


def test_r4_gives_none_of_what_is_nobodys_a_reference_to_a_patient() -> None:
    for resource_type in OF_NOBODY:
        targets = {one for _, targets in elements(resource_type).values() for one in targets}
        assert not {"Resource", "RelatedPerson"} & targets, resource_type
        assert "Patient" not in targets or resource_type == "Patient"
    assert not OF_NOBODY & OWNER_ELEMENT.keys()


def test_a_type_that_nobody_has_heard_of_is_not_looked_for() -> None:
    assert not is_looked_for("Vehicle")
