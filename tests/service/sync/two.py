"""Two patients here, who may be one there."""

from fhir_mappings.references import Name
from service.chart import PatientRegister
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
