"""One Patient there carries the numbers of two persons here: neither is written to, whoever comes first."""

import pytest
import sqlalchemy

from service.errors import InvalidContent
from service.sync.identity.matching import MatchRules
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.two import Two, register

REASON = "two-here-one-there"


@pytest.mark.parametrize("who", [0, 1])
def test_whoever_of_two_comes_first_is_in_dispute_before_the_other_is_looked_for(
    office: Office, ehr: EHR, there: PatientsThere, who: int
) -> None:
    names = [(office.patient_system, "first"), (office.patient_system, "second")]
    there.add(*names)
    people = [office.chart.register_patient([name], ACTOR).id for name in names]
    goal = office.goal(patient=people[who])
    ehr.forget()
    office.sync.run()
    assert (office.status(goal).reason, office.match(people[who]).reason) == (REASON, REASON)
    assert ehr.sent == []
    assert all(match.state == "unmatched" for match in office.sync.matches(people[1 - who]))


@pytest.mark.parametrize(
    "shown",
    [
        ("HTTPS://Card.Test/numbers/", "C 2"),
        ("https://card.test/numbers", " C 2 "),
        ("https://old.test/cards", "C 2"),
    ],
    ids=["another spelling", "blanks", "a system that is the same"],
)
def test_the_other_ones_number_counts_in_whatever_form_it_is_shown(
    office: Office, ehr: EHR, there: PatientsThere, shown: tuple[str, str]
) -> None:
    name = (office.patient_system, "Ann's")
    there.add(name, shown)
    ann = office.chart.register_patient([name], ACTOR).id
    office.chart.register_patient([("https://card.test/numbers", "C 2")], ACTOR)
    office.goal(patient=ann)
    ehr.forget()
    same = frozenset({"https://old.test/cards", "https://card.test/numbers"})
    office.new_sync(match_rules=MatchRules(same_systems=(same,))).push()
    assert office.match(ann).reason == REASON
    assert ehr.sent == []


def test_the_same_value_in_another_system_is_no_dispute(office: Office, there: PatientsThere) -> None:
    name = (office.patient_system, "77")
    there.add(name, ("https://elsewhere.test", "78"))
    ann = office.chart.register_patient([name], ACTOR).id
    office.chart.register_patient([("https://card.test/numbers", "78")], ACTOR)
    goal = office.goal(patient=ann)
    office.sync.push()
    assert office.status(goal).state == "synced"


def test_two_numbers_of_one_person_are_no_dispute_nor_is_one_who_was_merged_here(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    two = Two(office, there, ehr, apart=False)
    register(office).merge(two.here[0], two.here[1], ACTOR)
    office.sync.push()
    assert two.states() == ["synced", "synced"]


def test_a_number_that_somebody_known_is_given_there_stops_them_at_the_next_look(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    also = (office.patient_system, "another's")
    office.chart.register_patient([also], ACTOR)
    there.call(office.patient_there, *there.names(office.patient_there), also)
    office.change("Goal", goal, description={"text": "waits"})
    ehr.forget()
    office.sync.push()
    assert (office.status(goal).reason, ehr.sent) == (REASON, [])
    there.call(office.patient_there, *there.names(office.patient_there)[:1])
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.status(goal).state == "synced"


def test_a_person_cannot_name_somebody_who_carries_another_patients_number(
    office: Office, there: PatientsThere
) -> None:
    name = (office.patient_system, "another's")
    carrier = there.add(name)
    office.chart.register_patient([name], ACTOR)
    with pytest.raises(InvalidContent, match="merge the two"):
        office.sync.match_patient(office.patient_id, carrier, "ehr", ACTOR)
    assert office.sync.matches(office.patient_id) == []


def test_the_numbers_that_many_patients_show_are_looked_up_at_once(
    office: Office, there: PatientsThere
) -> None:
    asked: list[str] = []
    people = [office.patient()[0] for _ in range(30)]
    for here in people:
        office.goal(patient=here)

    def count(*arguments: object) -> None:
        statement = str(arguments[2])
        if "patient_identifiers.value IN" in statement and "patient_identifiers.system," in statement:
            asked.append(statement)

    sqlalchemy.event.listen(office.database.engine, "before_cursor_execute", count)
    office.sync.push()
    assert office.states() == {"synced": 30}
    assert len(asked) == 1
