"""A patient who was taken for somebody else there: what is that one's stays theirs."""

import pytest
import requests

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import PatientRegister
from service.chart.queries import RecordQuery
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import PatientsThere
from tests.service.sync.servers import outcome

STRANGERS_WORDS = "Nobody's business but mine"


class Mistaken:
    """Ann, who was taken for a stranger by a mistyped number; what that one has there was read as hers."""

    def __init__(self, office: Office, there: PatientsThere) -> None:
        self.office, system = office, office.patient_system
        self.wrong, self.right = (system, "typed wrong"), (system, "typed right")
        self.stranger, self.ann_there = there.add(self.wrong), there.add(self.right)
        self.ann = office.chart.register_patient([self.wrong], ACTOR).id
        self.own = office.goal("Ann's own", patient=self.ann)
        subject = {"reference": f"Patient/{self.stranger}"}
        tree = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": STRANGERS_WORDS}}
        self.there = office.post({**tree, "subject": subject})
        self.sync()
        rows = office.sync.status(limit=100)[0]
        (self.read,) = [row.record_id for row in rows if row.server_id == self.there["id"]]

    def sync(self) -> None:
        self.office.clock.advance(seconds=600)
        self.office.sync.run()

    def correct(self) -> None:
        register = PatientRegister(self.office.database, self.office.clock)
        register.correct_identifier(self.ann, self.wrong, self.right, ACTOR)

    def copy(self) -> Tree:
        """Return the stranger's goal as it is there."""
        answer = requests.get(f"{self.office.base_url}/Goal/{self.there['id']}", timeout=20)
        tree: Tree = exact_json.parse(answer.text)
        return tree

    def words_of_ann(self) -> set[str]:
        found = self.office.chart.find(RecordQuery(resource_type="Goal", patient=self.ann)).entries
        return {entry.tree["description"]["text"] for entry in found}


@pytest.fixture
def mistaken(office: Office, there: PatientsThere) -> Mistaken:
    return Mistaken(office, there)


@pytest.mark.parametrize("how", ["named", "withdrawn before", "changed here before", "edited there after"])
def test_what_a_stranger_has_there_stays_theirs_when_the_match_is_put_right(
    mistaken: Mistaken, how: str
) -> None:
    office = mistaken.office
    before = mistaken.copy()
    mistaken.correct()
    mistaken.sync()
    assert office.match(mistaken.ann).reason == "match-changed-there"
    if how == "withdrawn before":
        office.chart.withdraw(mistaken.read, ACTOR)
    if how == "changed here before":
        office.change("Goal", mistaken.read, description={"text": "Ann's words"})
    office.sync.match_patient(mistaken.ann, mistaken.ann_there, "ehr", ACTOR)
    if how == "edited there after":
        before = office.change_there("Goal", mistaken.read, description={"text": "The stranger's next words"})
    office.sync.compare()
    mistaken.sync()
    copy = mistaken.copy()
    assert (copy["subject"], copy["description"]) == (before["subject"], before["description"])
    assert copy["lifecycleStatus"] == "active"
    assert mistaken.words_of_ann() == {"Ann's own"}
    (moved,) = office.sync.moved()
    assert (moved.record_id, moved.there) == (mistaken.read, mistaken.stranger)
    assert office.status(mistaken.own).state == "synced"
    assert office.there("Goal", mistaken.own)["subject"] == {"reference": f"Patient/{mistaken.ann_there}"}


def test_while_nobody_knows_who_she_is_there_a_strangers_words_are_not_taken_in(mistaken: Mistaken) -> None:
    office = mistaken.office
    mistaken.correct()
    mistaken.sync()
    office.change_there("Goal", mistaken.read, description={"text": "The stranger's next words"})
    office.clock.advance(seconds=600)
    office.sync.compare()
    assert "The stranger's next words" not in mistaken.words_of_ann()


@pytest.mark.parametrize("how", ["merged", "gone"])
def test_what_was_theirs_who_became_the_one_named_comes_along(
    mistaken: Mistaken, ehr: EHR, there: PatientsThere, how: str
) -> None:
    office = mistaken.office
    mistaken.correct()
    mistaken.sync()
    if how == "merged":
        there.merge(mistaken.stranger, mistaken.ann_there, carries=False)
    else:
        path = f"/fhir/Patient/{mistaken.stranger}"
        ehr.before = lambda request: outcome(410) if request.path == path else None
    office.sync.match_patient(mistaken.ann, mistaken.ann_there, "ehr", ACTOR)
    mistaken.sync()
    assert office.sync.moved() == []
    assert mistaken.copy()["subject"] == {"reference": f"Patient/{mistaken.ann_there}"}
