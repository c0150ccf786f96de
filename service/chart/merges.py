"""Who was ever one person with whom here, and which Patients there they were matched to meanwhile."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.store.statements import chunks
from service.store.tables import MatchChange, Patient, PatientChange, PatientLink

#: A patient and a connection.
Place = tuple[str, str]


@dataclass(frozen=True)
class Merges:
    """All merges there ever were, undone ones too.

    pairs: who was merged, into whom. left: the Patients there whom those who were merged had till then.
    """

    pairs: frozenset[tuple[str, str]]
    left: Mapping[Place, frozenset[str]]

    def family(self, patient_id: str) -> set[str]:
        """Return a patient and all who were ever one with them."""
        family, size = {patient_id}, 0
        while size < len(family):
            size = len(family)
            family |= {one for pair in self.pairs if family & set(pair) for one in pair}
        return family


def read_merges(session: Session) -> Merges:
    pairs: set[tuple[str, str]] = set()
    left: dict[Place, frozenset[str]] = {}
    merged = select(Patient.id, Patient.merged_into).where(Patient.merged_into.is_not(None))
    pairs.update((row.id, row.merged_into) for row in session.execute(merged))
    details = select(PatientChange.patient_id, PatientChange.detail).where(PatientChange.action == "merge")
    for row in session.execute(details):
        detail = _object(row.detail)
        if row.patient_id == detail.get("from"):
            pairs.add((detail["from"], str(detail.get("into"))))
            for connection_id, kept in detail.get("matches", {}).items():
                place = (row.patient_id, connection_id)
                left[place] = left.get(place, frozenset()) | _ids(kept["server_id"], kept["earlier"])
    return Merges(frozenset(pairs), left)


def read_matched(session: Session, patient_ids: Collection[str]) -> dict[Place, set[str]]:
    """Return which Patients there each patient is or ever was matched to."""
    matched: dict[Place, set[str]] = {}
    for chunk in chunks(sorted(patient_ids)):
        for link in session.scalars(select(PatientLink).where(PatientLink.patient_id.in_(chunk))):
            place = (link.patient_id, link.connection_id)
            matched.setdefault(place, set()).update(_ids(link.server_id, link.earlier))
        for change in session.scalars(select(MatchChange).where(MatchChange.patient_id.in_(chunk))):
            place = (change.patient_id, change.connection_id)
            matched.setdefault(place, set()).update(_ids(change.server_id, None))
    return matched


def _ids(server_id: str | None, earlier: str | None) -> frozenset[str]:
    merged: Any = exact_json.parse(earlier) if earlier else []
    return frozenset([*merged, *([server_id] if server_id else [])])


def _object(text: str) -> dict[str, Any]:
    try:
        value = exact_json.parse(text)
    except exact_json.JSONTextError:
        return {}
    return value if isinstance(value, dict) else {}
