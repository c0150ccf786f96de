"""What happens between a look and the note of it counts: identifiers, a person's word, other workers."""

from collections.abc import Callable

import pytest
from flask import Request, Response

from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.two import BOTH, Two, register


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
    worker, context = office.sync, office.new_sync()
    ehr.after = while_looking(lambda: context.match_patient(office.patient_id, other, "ehr", "registrar"))
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


def test_whoever_is_matched_while_a_moved_copy_is_judged_is_looked_at_next_time(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    """A goal went to a stranger there, whom another worker finds to be somebody of ours at that moment."""
    office.sync.pull()
    name = (office.patient_system, "a stranger yet")
    stranger = there.add(name)
    office.change_there("Goal", goal, subject={"reference": f"Patient/{stranger}"})
    worker, another = office.sync, office.new_sync()
    office.clock.advance(seconds=A_WHILE)

    def find() -> None:
        office.goal(patient=office.chart.register_patient([name], ACTOR).id)
        another.push()

    ehr.after = while_looking(find)
    assert worker.compare().problems == []
    ehr.after = lambda request, response: None
    office.sync.compare()
    (moved,) = office.sync.moved()
    assert (moved.record_id, moved.there) == (goal, stranger)


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
