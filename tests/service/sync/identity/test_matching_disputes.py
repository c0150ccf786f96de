"""Two here who are one there: nothing is sent for either until somebody has said who is who."""

import pytest
from flask import Response

from service.errors import InvalidContent
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.two import BOTH, Two, register


def test_nothing_is_sent_for_either_of_two_who_are_one_there(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=False)
    office.sync.push()
    assert two.reasons() == BOTH
    assert ehr.sent == []
    two.push()
    assert two.reasons() == BOTH
    assert ehr.sent == []


def test_somebody_new_who_is_one_with_somebody_known_stops_both(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    also = (office.patient_system, "also")
    there.call(office.patient_there, *there.names(office.patient_there), also)
    new = office.goal(patient=office.chart.register_patient([also], ACTOR).id)
    ehr.forget()
    # The known one's match is looked at however young, and stops although nothing is due to them.
    office.sync.push()
    assert office.status(new).reason == "two-here-one-there"
    assert (office.match().state, office.match().reason) == ("unmatched", "two-here-one-there")
    office.change("Goal", goal, description={"text": "waits"})
    office.sync.push()
    assert ehr.sent == []


def test_two_who_were_merged_there_stop_until_they_are_merged_here(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=True)
    office.sync.push()
    old, left = two.there
    there.merge(old, into=left)
    two.push()
    assert two.reasons() == BOTH
    assert ehr.sent == []
    register(office).merge(two.here[0], two.here[1], ACTOR)
    office.sync.push()
    assert two.states() == ["synced", "synced"]
    assert ehr.subjects() == {f"Patient/{left}"}
    assert len(office.copies("Goal", left)) == 2


def test_it_does_not_matter_who_of_two_stays_here(office: Office, ehr: EHR, there: PatientsThere) -> None:
    two = Two(office, there, ehr, apart=True)
    office.sync.push()
    old, left = two.there
    there.merge(old, into=left)
    two.push()
    register(office).merge(two.here[1], two.here[0], ACTOR)
    office.sync.push()
    assert two.states() == ["synced", "synced"]
    assert ehr.subjects() == {f"Patient/{left}"}


def test_two_who_were_merged_there_go_on_when_they_are_parted_again(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=True)
    office.sync.push()
    old, left = two.there
    there.merge(old, into=left)
    two.push()
    there.part(old)
    there.call(left, two.names[1])
    two.push()
    assert two.states() == ["synced", "synced"]
    assert [office.match(one).server_id for one in two.here] == [old, left]
    assert [office.there("Goal", goal)["subject"]["reference"] for goal in two.goals] == [
        f"Patient/{old}",
        f"Patient/{left}",
    ]


def test_a_correction_here_parts_two_who_seemed_one(office: Office, ehr: EHR, there: PatientsThere) -> None:
    two = Two(office, there, ehr, apart=False)
    office.sync.push()
    right = (office.patient_system, "somebody else after all")
    other = there.add(right)
    register(office).correct_identifier(two.here[1], two.names[1], right, ACTOR)
    ehr.forget()
    two.push()
    two.push()
    assert two.states() == ["synced", "synced"]
    assert office.match(two.here[0]).server_id == two.there[0]
    assert office.match(two.here[1]).server_id == other


def test_a_number_that_goes_from_one_to_another_in_one_pass_is_nobodys_twice(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    """Who had it is let go of, and who has it now is matched, whatever the order of their ids."""
    olds = [office.patient() for _ in range(6)]
    goals = [office.goal(patient=here) for here, _ in olds]
    office.sync.push()
    office.clock.advance(seconds=A_WHILE)
    news = []
    for number, (_, server_id) in enumerate(olds):
        name = (office.patient_system, f"new {number}")
        there.call(server_id, name)
        news.append(office.chart.register_patient([name], ACTOR).id)
        office.change("Goal", goals[number], description={"text": "to nobody"})
        goals.append(office.goal(patient=news[-1]))
    ehr.forget()
    office.sync.push()
    assert [office.match(here).reason for here, _ in olds] == ["identifier-moved-there"] * 6
    assert [office.match(here).server_id for here in news] == [server_id for _, server_id in olds]
    assert len(ehr.sent) == 6
    assert {one["subject"]["reference"] for one in ehr.sent} == {f"Patient/{one}" for _, one in olds}


def test_a_person_cannot_name_somebody_who_is_another_patients_match(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=True)
    office.sync.push()
    with pytest.raises(InvalidContent):
        office.sync.match_patient(two.here[0], two.there[1], "ehr")
    assert [office.match(one).server_id for one in two.here] == two.there


@pytest.mark.parametrize("hidden", [0, 1], ids=["who holds it", "who claims it"])
@pytest.mark.parametrize("status", [403, 500])
def test_a_dispute_does_not_end_because_one_of_the_two_cannot_be_seen(
    office: Office, ehr: EHR, there: PatientsThere, hidden: int, status: int
) -> None:
    """Of two who were merged there, one can still be read; the other's old Patient cannot."""
    two = Two(office, there, ehr, apart=True)
    office.sync.push()
    third = there.add()
    for old in two.there:
        there.merge(old, into=third)
    two.push()
    assert two.reasons() == BOTH
    path = f"/fhir/Patient/{two.there[hidden]}"
    ehr.without = {"batch", "transaction"}
    office.sync.check_connection("ehr")
    ehr.before = lambda request: Response(status=status) if request.path == path else None
    two.push()
    assert ehr.sent == []
    assert office.match(two.here[1 - hidden]).state == "unmatched"
