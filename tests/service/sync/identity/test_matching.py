"""Patients who were matched, seen again before anything is written: each row of the table, end to end."""

from collections.abc import Callable

import pytest
from flask import Request, Response

from fhir_mappings import exact_json
from service.chart.queries import RecordQuery
from service.sync.identity.match_policy import LONGEST_CHAIN
from service.sync.identity.matching import MatchRules
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere

FULL: set[str] = set()
SINGLE = {"transaction", "batch"}


def edited(office: Office, goal: str) -> str:
    """Change a goal, and try to send it; return its state and reason."""
    office.change("Goal", goal, description={"text": f"said anew at {office.clock()}"})
    office.sync.push()
    row = office.status(goal)
    return f"{row.state} {row.reason or ''}".strip()


def on_reading(server_id: str, answer: Callable[[], Response]) -> Callable[[Request], Response | None]:
    path = f"/fhir/Patient/{server_id}"
    return lambda request: answer() if (request.method, request.path) == ("GET", path) else None


def test_a_patient_who_is_as_they_were_stays_matched(office: Office, ehr: EHR, goal: str) -> None:
    assert edited(office, goal) == "synced"
    assert ehr.looks == [f"read {office.patient_there}"]
    assert ehr.subjects() == {f"Patient/{office.patient_there}"}
    assert [one.state for one in office.match().history] == ["matched"]


@pytest.mark.parametrize("without", [FULL, SINGLE], ids=["bundles", "single"])
def test_the_records_of_a_merged_patient_follow_to_the_one_who_is_left(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, without: set[str]
) -> None:
    ehr.without = without
    left = there.add()
    there.merge(office.patient_there, into=left)
    ehr.forget()
    other = office.goal("another one")
    assert edited(office, goal) == "synced"
    assert ehr.subjects() == {f"Patient/{left}"}
    assert {len(office.copies("Goal", left)), len(office.copies("Goal"))} == {2, 0}
    assert office.there("Goal", other)["subject"] == {"reference": f"Patient/{left}"}
    match = office.match()
    assert (match.server_id, match.state) == (left, "matched")
    assert [(one.server_id, one.actor) for one in match.history] == [
        (left, "server"),
        (office.patient_there, "server"),
    ]


def test_what_was_not_changed_here_follows_a_merge_too(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    left = there.add()
    there.merge(office.patient_there, into=left)
    office.goal("what leads to the look")
    office.sync.push()
    assert office.there("Goal", goal)["subject"] == {"reference": f"Patient/{left}"}
    assert office.states() == {"synced": 2}


def test_a_chain_of_merges_leads_to_its_end(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    middle, left = there.add(), there.add()
    there.merge(office.patient_there, into=middle)
    there.merge(middle, into=left)
    ehr.forget()
    assert edited(office, goal) == "synced"
    assert ehr.subjects() == {f"Patient/{left}"}


def test_a_copy_that_the_server_left_half_way_of_a_chain_is_the_patients_still(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    """The server moved the goal when it merged the first time, and not when it did the second time."""
    middle, left = there.add(), there.add()
    there.merge(office.patient_there, into=middle)
    office.change_there("Goal", goal, subject={"reference": f"Patient/{middle}"})
    there.merge(middle, into=left)
    office.goal("what leads to the look")
    office.sync.run()
    office.sync.compare()
    assert office.states() == {"synced": 2}
    assert office.sync.moved() == []
    assert office.there("Goal", goal)["subject"] == {"reference": f"Patient/{left}"}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_of_merges_leads_nowhere(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, length: int
) -> None:
    circle = [office.patient_there, *(there.add() for _ in range(length - 1))]
    for old, into in zip(circle, [*circle[1:], circle[0]], strict=True):
        there.merge(old, into=into)
    ehr.forget()
    assert edited(office, goal) == "unmatched patient-merged-there"
    assert ehr.sent == []


def test_a_chain_without_an_end_is_given_up(office: Office, ehr: EHR, goal: str) -> None:
    def further(request: Request) -> Response | None:
        number = request.path.removeprefix("/fhir/Patient/")
        if request.method != "GET" or not number.isdecimal():
            return None
        # Who does not give up is let go at some point, and counted.
        is_over = len(ehr.looks) > 5 * LONGEST_CHAIN
        return Response(
            status=404 if is_over else 301, headers={"Location": f"/fhir/Patient/{int(number) + 1}"}
        )

    ehr.before = further
    assert edited(office, goal) == "unmatched patient-merged-there"
    assert ehr.sent == []
    assert len(ehr.looks) == LONGEST_CHAIN + 1


def test_somebody_who_took_the_place_without_the_identifier_is_not_believed(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    there.merge(office.patient_there, into=there.add(), carries=False)
    ehr.forget()
    assert edited(office, goal) == "unmatched patient-merged-there"
    assert ehr.sent == []
    assert [one.reason for one in office.match().history] == ["patient-merged-there", None]


def test_a_successor_elsewhere_is_nobody_whom_we_know(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    twin = there.add(*there.names(office.patient_there))
    other = {"reference": f"https://far.example/fhir/Patient/{twin}"}
    # The server itself holds no such reference; what stands before it may say it.
    body = {**there.get(office.patient_there), "link": [{"type": "replaced-by", "other": other}]}
    ehr.forget()
    ehr.before = on_reading(
        office.patient_there, lambda: Response(exact_json.dump(body), content_type="application/fhir+json")
    )
    assert edited(office, goal) == "unmatched patient-merged-there"
    assert ehr.sent == []


@pytest.mark.parametrize(
    ("status", "form"),
    [
        (301, "{base}/Patient/{}"),
        (302, "/fhir/Patient/{}"),
        (307, "Patient/{}"),
        (308, "{base}/Patient/{}/_history/2"),
    ],
)
def test_a_redirect_is_a_merge(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, status: int, form: str
) -> None:
    left = there.add(*there.names(office.patient_there))
    location = form.format(left, base=office.base_url)
    ehr.forget()
    ehr.before = on_reading(
        office.patient_there, lambda: Response(status=status, headers={"Location": location})
    )
    assert edited(office, goal) == "synced"
    assert ehr.subjects() == {f"Patient/{left}"}


def test_a_redirect_to_somebody_else_is_not_followed(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    location = f"Patient/{there.add((office.patient_system, 'somebody else'))}"
    ehr.forget()
    ehr.before = on_reading(
        office.patient_there, lambda: Response(status=301, headers={"Location": location})
    )
    assert edited(office, goal) == "unmatched patient-merged-there"
    assert ehr.sent == []


@pytest.mark.parametrize("carries", [True, False], ids=["with the identifier", "without"])
def test_another_patient_shown_in_silence_is_a_merge(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, carries: bool
) -> None:
    left = there.add(*(there.names(office.patient_there) if carries else ()))
    body = exact_json.dump(there.get(left))
    ehr.forget()
    ehr.before = on_reading(
        office.patient_there, lambda: Response(body, content_type="application/fhir+json")
    )
    assert edited(office, goal) == ("synced" if carries else "unmatched patient-merged-there")
    assert ehr.subjects() == ({f"Patient/{left}"} if carries else set())


def test_a_patient_who_is_not_in_use_gets_nothing_until_they_are(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    there.change(office.patient_there, active=False)
    ehr.forget()
    assert edited(office, goal) == "unmatched patient-inactive-there"
    assert ehr.sent == []
    there.change(office.patient_there, active=True)
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{office.patient_there}"}


def test_nothing_goes_to_who_had_the_identifier_or_to_who_has_it_now(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    names = there.names(office.patient_there)
    there.call(office.patient_there)
    other = there.add(*names)
    ehr.forget()
    assert edited(office, goal) == "unmatched identifier-moved-there"
    assert ehr.sent == []
    there.call(other)
    there.call(office.patient_there, *names)
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{office.patient_there}"}


def test_a_merge_that_was_undone_stops_until_a_person_says_who_it_is(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    old, names = office.patient_there, there.names(office.patient_there)
    left = there.add((office.patient_system, "another number"))
    there.merge(old, into=left)
    assert edited(office, goal) == "synced"
    there.part(old)
    there.call(left, (office.patient_system, "another number"))
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    assert edited(office, goal) == "unmatched identifier-moved-there"
    assert ehr.sent == []
    office.sync.match_patient(office.patient_id, old, "ehr", actor="registrar")
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{old}"}
    assert there.names(old) == names


def test_within_the_bound_nobody_is_looked_at_again(office: Office, ehr: EHR, there: PatientsThere) -> None:
    goal = office.goal()
    office.sync.push()
    ehr.forget()
    assert edited(office, goal) == "synced"
    assert ehr.looks == []


def test_the_bound_is_the_operators_to_set(office: Office, ehr: EHR, there: PatientsThere) -> None:
    office.sync = office.new_sync(match_rules=MatchRules(patients_for=office.clock() - office.clock()))
    goal = office.goal()
    office.sync.push()
    there.change(office.patient_there, active=False)
    ehr.forget()
    assert edited(office, goal) == "unmatched patient-inactive-there"
    assert ehr.sent == []


def test_a_match_from_a_clock_that_was_ahead_is_not_believed(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    office.clock.advance(days=-2)
    there.change(office.patient_there, active=False)
    ehr.forget()
    assert edited(office, goal) == "unmatched patient-inactive-there"
    assert ehr.sent == []


def test_the_chart_stays_open_here_whatever_became_of_the_patient_there(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    there.change(office.patient_there, active=False)
    edited(office, goal)
    new = office.goal("said while nobody there can be written to")
    office.change("Goal", new, description={"text": "and changed"})
    shown = office.chart.find(RecordQuery(resource_type="Goal", patient=office.patient_id))
    assert [one.tree["description"]["text"][:11] for one in shown.entries] == ["said anew a", "and changed"]
