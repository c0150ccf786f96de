"""Several patients at once."""

from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE

#: Of a server that takes one thing at a time.
SINGLE = {"transaction", "batch"}


class Ward:
    """Several patients, each with a goal that arrived long ago and was changed since."""

    def __init__(self, office: Office, ehr: EHR, size: int) -> None:
        self.office = office
        self.people = dict(office.patient() for _ in range(size))
        self.goals = {here: office.goal(patient=here) for here in self.people}
        office.sync.run()
        office.clock.advance(seconds=A_WHILE)
        self.change()
        ehr.forget()

    def change(self) -> None:
        for goal in self.goals.values():
            self.office.change("Goal", goal, description={"text": f"changed at {self.office.clock()}"})

    def standing(self, here: str) -> str:
        row = self.office.status(self.goals[here])
        return f"{row.state} {row.reason or ''}".strip()
