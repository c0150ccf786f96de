"""Patients looked for by identifier: never guessed among several, never created, known in other forms."""

import pytest
from flask import Request, Response

from fhir_mappings import exact_json
from service.chart import PatientRegister
from service.chart.queries import RecordQuery
from service.sandbox.faults import AfterCommit
from service.sync.identity.identifiers import same_systems
from service.sync.identity.matching import MatchRules
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import PatientsThere


def registered(office: Office, *names: tuple[str, str]) -> str:
    return office.chart.register_patient(names, ACTOR).id


def pushed(office: Office, patient: str) -> str:
    """Send a new goal of a patient; return its state and reason."""
    goal = office.goal(patient=patient)
    office.sync.push()
    row = office.status(goal)
    return f"{row.state} {row.reason or ''}".strip()


def test_who_replaced_another_is_found_beside_them(office: Office, ehr: EHR, there: PatientsThere) -> None:
    name = (office.patient_system, "in both")
    old, new = there.add(name), there.add(name)
    there.merge(old, into=new)
    ehr.forget()
    assert pushed(office, registered(office, name)) == "synced"
    assert ehr.subjects() == {f"Patient/{new}"}


def test_who_replaced_another_is_found_by_the_other_alone(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    """Only the merged one is found; who is left carries another identifier of ours."""
    first, second = (office.patient_system, "first"), (f"{office.patient_system}:b", "second")
    old, new = there.add(first), there.add()
    there.merge(old, into=new, carries=False)
    patient = registered(office, first, second)
    ehr.forget()
    assert pushed(office, patient) == "unmatched patient-merged-there"
    assert ehr.sent == []
    there.call(new, second)
    # Not even a search that does not know the new number keeps the old one from leading there.
    ehr.after = without_hits(new)
    office.clock.advance(seconds=600)
    office.sync.push()
    assert ehr.subjects() == {f"Patient/{new}"}


def without_hits(server_id: str) -> AfterCommit:
    """An after-commit hook: searches do not find a Patient."""

    def hide(request: Request, response: Response) -> None:
        if request.path == "/fhir/Patient":
            bundle = exact_json.parse(response.get_data())
            entries = bundle.get("entry", [])
            kept = [one for one in entries if one["resource"]["id"] != server_id]
            response.set_data(exact_json.dump({**bundle, "entry": kept}))

    return hide


@pytest.mark.parametrize("in_use", [0, 1, 2], ids=["none in use", "one in use", "two in use"])
def test_of_several_one_is_taken_only_if_no_other_is_in_use(
    office: Office, ehr: EHR, there: PatientsThere, in_use: int
) -> None:
    name = (office.patient_system, "of three")
    ids = [there.add(name, active=number < in_use) for number in range(3)]
    ehr.forget()
    reasons = ["unmatched patient-inactive-there", "synced", "unmatched several-patients-there"]
    assert pushed(office, registered(office, name)) == reasons[in_use]
    assert ehr.subjects() == ({f"Patient/{ids[0]}"} if in_use == 1 else set())


def test_a_mistyped_identifier_that_was_never_found_can_be_corrected(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    right, wrong = (office.patient_system, "81-7"), (office.patient_system, "87-1")
    server_id = there.add(right)
    patient = registered(office, wrong)
    assert pushed(office, patient) == "unmatched no-patient-there"
    ehr.forget()
    register(office).correct_identifier(patient, wrong, right, ACTOR)
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{server_id}"}


def register(office: Office) -> PatientRegister:
    return PatientRegister(office.database, office.clock)


def test_a_second_identifier_that_is_another_persons_there_stops_both_ways(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    theirs = (f"{office.patient_system}:other", "somebody else's")
    other = there.add(theirs)
    ehr.forget()
    register(office).add_identifier(office.patient_id, theirs, ACTOR)
    office.change("Goal", goal, description={"text": "written to nobody"})
    office.sync.push()
    assert office.status(goal).reason == "several-patients-there"
    assert ehr.sent == []
    assert [(one.type, one.value) for one in office.status(goal).sought][1:] == [("Patient", theirs[1])]
    register(office).remove_identifier(office.patient_id, theirs, ACTOR)
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{office.patient_there}"}
    assert there.names(other) == [theirs]


def test_a_corrected_identifier_that_is_another_persons_there_is_asked_about(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    (old,) = office.chart.patient(office.patient_id).identifiers
    new = (office.patient_system, "whose it really is")
    other = there.add(new)
    ehr.forget()
    register(office).correct_identifier(office.patient_id, old, new, ACTOR)
    # Nothing waits for the match to run out.
    office.change("Goal", goal, description={"text": "about whom"})
    office.sync.push()
    assert office.status(goal).reason == "match-changed-there"
    assert ehr.sent == []
    office.sync.push()
    assert office.match().server_id == office.patient_there
    office.sync.match_patient(office.patient_id, other, "ehr", "registrar")
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{other}"}


def test_a_corrected_identifier_keeps_who_was_merged_into_its_owner(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    """The server gave the patient another number as it merged them; the people here follow."""
    (old,) = office.chart.patient(office.patient_id).identifiers
    new = (office.patient_system, "after the merge")
    left = there.add(new)
    there.merge(office.patient_there, into=left, carries=False)
    register(office).correct_identifier(office.patient_id, old, new, ACTOR)
    ehr.forget()
    office.change("Goal", goal, description={"text": "follows"})
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{left}"}


@pytest.mark.parametrize(
    ("here", "shown", "is_matched"),
    [
        ("https://Ward.example/numbers", "HTTPS://ward.example/numbers", True),
        ("https://ward.example/numbers", "https://ward.example/numbers/", True),
        ("urn:oid:1.2.752.9", "1.2.752.9", True),
        ("1.2.752.9", "urn:oid:1.2.752.9", True),
        ("urn:oid:1.2.752.9", "urn:oid:1.2.752.90", False),
        ("https://ward.example/numbers", "https://ward.example/cards", False),
    ],
)
def test_a_patient_is_known_by_their_identifier_in_another_form(
    office: Office, ehr: EHR, there: PatientsThere, here: str, shown: str, is_matched: bool
) -> None:
    """The server finds them by our form, as one that normalises does, and shows its own."""
    server_id = there.add((here, "N 5"))
    ehr.after = showing(here, shown)
    ehr.forget()
    patient = registered(office, (here, "N 5"))
    expected = "synced" if is_matched else "unmatched identifier-differs-there"
    assert pushed(office, patient) == expected
    assert ehr.subjects() == ({f"Patient/{server_id}"} if is_matched else set())
    office.clock.advance(seconds=4000)
    ehr.forget()
    # A read after an hour shows that form as well.
    assert pushed(office, patient) == expected
    assert ehr.subjects() == ({f"Patient/{server_id}"} if is_matched else set())


def showing(system: str, shown: str) -> AfterCommit:
    """An after-commit hook: Patients are shown with another system."""

    def change(request: Request, response: Response) -> None:
        if request.path.startswith("/fhir/Patient") and request.method == "GET":
            text = response.get_data(as_text=True)
            response.set_data(text.replace(f'"{system}"', f'"{shown}"'))

    return change


def test_two_systems_are_one_where_the_setting_says_so(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    server_id = there.add(("urn:oid:1.2.752.9", "77"))
    patient = registered(office, ("https://cards.example", "77"))
    assert pushed(office, patient) == "unmatched no-patient-there"
    rules = MatchRules(same_systems=same_systems("https://cards.example|urn:oid:1.2.752.9"))
    office.sync = office.new_sync(match_rules=rules)
    office.clock.advance(seconds=600)
    ehr.forget()
    # The server knows the other form of the other system only.
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{server_id}"}


def test_a_pull_reads_nothing_of_who_is_in_doubt_since_the_identifiers_changed(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    """A mistyped number matched somebody else; once it is corrected, nothing of theirs comes in."""
    (old,) = office.chart.patient(office.patient_id).identifiers
    subject = {"reference": f"Patient/{office.patient_there}"}
    theirs = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "not ours"}}
    office.sync.pull()
    register(office).correct_identifier(office.patient_id, old, (office.patient_system, "right"), ACTOR)
    office.post({**theirs, "subject": subject})
    office.sync.pull()
    assert len(office.chart.find(RecordQuery(resource_type="Goal", patient=office.patient_id)).entries) == 1
    assert office.match().state == "unmatched"


def test_what_a_pull_missed_while_somebody_was_in_doubt_is_read_later(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    also = (f"{office.patient_system}:b", "also")
    office.sync.pull()
    there.call(office.patient_there, *there.names(office.patient_there), also)
    register(office).add_identifier(office.patient_id, also, ACTOR)
    subject = {"reference": f"Patient/{office.patient_there}"}
    theirs = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "theirs"}}
    office.post({**theirs, "subject": subject})
    ehr.before = lambda request: Response(status=500) if request.path == "/fhir/Patient" else None
    office.sync.pull()
    assert len(office.chart.find(RecordQuery(resource_type="Goal", patient=office.patient_id)).entries) == 1
    ehr.before = lambda request: None
    # So much later that a search for what has changed since does not reach back.
    office.clock.advance(days=2)
    office.sync.pull()
    office.clock.advance(days=2)
    office.sync.pull()
    assert len(office.chart.find(RecordQuery(resource_type="Goal", patient=office.patient_id)).entries) == 2
