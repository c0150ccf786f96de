"""PatientRegister: what may be done to what people are called, and to who is who. Each act happens whole."""

from collections.abc import Callable
from datetime import datetime

from fhir_mappings.references import Name
from service.chart import patients, persons
from service.chart.versions import Patient, PatientChange
from service.store.database import Database


class PatientRegister:
    """Acts on patients; each has their matches on every server made anew.

    Raises NotFound, Conflict for what is another patient's or merged, InvalidContent with findings.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add_identifier(self, patient_id: str, name: Name, actor: str, *, also: bool = False) -> Patient:
        """Call a patient by one more identifier. Raises NotFound, Conflict, InvalidContent."""
        with self._database.begin() as session:
            patients.add_identifier(session, patient_id, name, actor, self._clock(), also=also)
            return patients.get(session, patient_id)

    def correct_identifier(
        self, patient_id: str, old: Name, new: Name, actor: str, *, also: bool = False
    ) -> Patient:
        """Say an identifier anew, in every record that names the patient by it too."""
        with self._database.begin() as session:
            persons.correct_identifier(session, patient_id, old, new, actor, self._clock(), also=also)
            return patients.get(session, patient_id)

    def remove_identifier(self, patient_id: str, name: Name, actor: str) -> Patient:
        """Call a patient by an identifier no more; their last one stays."""
        with self._database.begin() as session:
            persons.remove_identifier(session, patient_id, name, actor, self._clock())
            return patients.get(session, patient_id)

    def merge(self, from_id: str, into_id: str, actor: str) -> Patient:
        """Make one patient of two who are the same person; the list of what moved is kept."""
        with self._database.begin() as session:
            persons.merge(session, from_id, into_id, actor, self._clock())
            return patients.get(session, into_id)

    def unmerge(self, from_id: str, actor: str) -> Patient:
        """Make two patients again of one, as they were when they were merged."""
        with self._database.begin() as session:
            persons.unmerge(session, from_id, actor, self._clock())
            return patients.get(session, from_id)

    def history(self, patient_id: str) -> list[PatientChange]:
        """Return what was done to a patient's identifiers, newest first."""
        with self._database.read() as session:
            return patients.history(session, patient_id)
