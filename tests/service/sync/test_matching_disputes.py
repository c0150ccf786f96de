"""Two here who are one there, and what happens between a look and the note of it: nobody is mistaken."""

from collections.abc import Callable

import pytest
from flask import Request, Response

from fhir_mappings.references import Name
from service.chart import PatientRegister
from service.errors import InvalidContent
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere


def register(office: Office) -> PatientRegister:
    return PatientRegister(office.database, office.clock)


class Two:
    """Two patients here, a goal each; not yet looked for, or matched to two Patients there."""

    def __init__(self, office: Office, there: PatientsThere, ehr: EHR, *, apart: bool) -> None:
        self.office = office
        self.ehr = ehr
        self.names: list[Name] = [(office.patient_system, "one"), (office.patient_system, "two")]
        self.here = [office.chart.register_patient([name], ACTOR).id for name in self.names]
        self.there = [there.add(name) for name in self.names] if apart else [there.add(*self.names)]
        self.goals = [office.goal(patient=one) for one in self.here]
        ehr.forget()

    def push(self) -> None:
        """Change both goals, an hour later, and try to send them."""
        self.office.clock.advance(seconds=A_WHILE)
        for goal in self.goals:
            self.office.change("Goal", goal, description={"text": f"at {self.office.clock()}"})
        self.ehr.forget()
        self.office.sync.push()

    def reasons(self) -> list[str | None]:
        return [self.office.status(goal).reason for goal in self.goals]

    def states(self) -> list[str]:
        return [self.office.status(goal).state for goal in self.goals]


BOTH = ["two-here-one-there", "two-here-one-there"]


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


# What happens between the look and the note of it.


def while_looking(act: Callable[[], object]) -> Callable[[Request, Response], None]:
    """An after-commit hook: something is done, once, while the answer about a Patient is on its way."""
    done: list[bool] = []

    def hook(request: Request, response: Response) -> None:
        if request.method == "GET" and request.path.startswith("/fhir/Patient") and not done:
            done.append(True)
            act()

    return hook


def test_an_identifier_corrected_while_somebody_is_looked_for_counts(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    wrong, right = (office.patient_system, "wrong"), (office.patient_system, "right")
    somebody, meant = there.add(wrong), there.add(right)
    patient = office.chart.register_patient([wrong], ACTOR).id
    office.goal(patient=patient)
    ehr.forget()
    ehr.after = while_looking(lambda: register(office).correct_identifier(patient, wrong, right, ACTOR))
    office.sync.push()
    assert ehr.subjects() <= {f"Patient/{meant}"}
    assert office.match(patient).server_id in (None, meant)
    office.sync.push()
    assert office.match(patient).server_id == meant
    assert office.copies("Goal", somebody) == []


def test_an_identifier_corrected_while_somebody_known_is_looked_at_counts(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    (old,) = office.chart.patient(office.patient_id).identifiers
    right = (office.patient_system, "right")
    there.add(right)
    office.change("Goal", goal, description={"text": "about whom"})
    ehr.forget()
    ehr.after = while_looking(
        lambda: register(office).correct_identifier(office.patient_id, old, right, ACTOR)
    )
    office.sync.push()
    assert ehr.sent == []
    assert office.match().reason == "match-changed-there"


def test_a_persons_word_said_while_somebody_is_looked_at_is_the_last(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    other = there.add()
    office.change("Goal", goal, description={"text": "about whom"})
    ehr.forget()
    worker, desk = office.sync, office.new_sync()
    ehr.after = while_looking(lambda: desk.match_patient(office.patient_id, other, "ehr", "registrar"))
    worker.push()
    assert ehr.subjects() == {f"Patient/{other}"}
    assert (office.match().server_id, office.match().basis) == (other, "person")


def test_a_patient_merged_away_here_while_they_are_looked_for_is_matched_no_more(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=True)
    ehr.after = while_looking(lambda: register(office).merge(two.here[0], two.here[1], ACTOR))
    office.sync.push()
    assert ehr.subjects() <= {f"Patient/{two.there[1]}"}
    assert office.sync.matches(two.here[0]) == []


@pytest.mark.parametrize("first", [0, 1])
def test_two_workers_who_find_the_same_patient_for_two_match_neither(
    office: Office, ehr: EHR, there: PatientsThere, first: int
) -> None:
    """One is looked for by this worker while another worker finds the other one."""
    two = Two(office, there, ehr, apart=False)
    office.sync.push()
    other = office.chart.register_patient([(office.patient_system, "later")], ACTOR).id
    third = office.chart.register_patient([(office.patient_system, "third")], ACTOR).id
    shared = there.add((office.patient_system, "later"), (office.patient_system, "third"))
    pair = [other, third] if first == 0 else [third, other]
    office.goal(patient=pair[0])

    def another_worker() -> None:
        office.goal(patient=pair[1])
        office.new_sync().push()

    ehr.forget()
    ehr.after = while_looking(another_worker)
    office.sync.push()
    # The one who was found first may have been written to; nothing follows for either of the two.
    written = len(ehr.sent)
    assert written <= 1
    assert {office.match(one).reason for one in pair} == {"two-here-one-there"}
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert len(ehr.sent) == written
    assert len(office.copies("Goal", shared)) == written
    assert two.reasons() == BOTH
