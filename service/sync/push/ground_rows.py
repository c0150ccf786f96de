"""How the records that are about to be sent, and their people, stand now: one query."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Integer, String, literal, null, select, union_all
from sqlalchemy.orm import Session

from service.store.statements import chunks
from service.store.tables import OutboxRow, PatientLink, Record
from service.sync.identity import match_rows
from service.sync.identity.links import Job
from service.sync.identity.references import Logical
from service.sync.push.grounds import Grounds, people_of


def read(
    session: Session, connection_id: str, jobs: Iterable[Job], registered: Mapping[Logical, str]
) -> Grounds:
    """Return how records and the patients whom they are about or name stand."""
    records: dict[str, tuple[int, str | None]] = {}
    matches: dict[str, str] = {}
    for chunk in chunks(jobs):
        people = {one for job in chunk for one in people_of(job, registered)}
        theirs = (
            select(
                literal(True).label("is_record"), OutboxRow.record_id, OutboxRow.generation, Record.patient_id
            )
            .join(Record, Record.id == OutboxRow.record_id)
            .where(
                OutboxRow.connection_id == connection_id,
                OutboxRow.record_id.in_([job.record_id for job in chunk]),
            )
        )
        matched = select(
            literal(False), PatientLink.patient_id, null().cast(Integer), PatientLink.server_id.cast(String)
        ).where(
            PatientLink.connection_id == connection_id,
            PatientLink.patient_id.in_(people),
            PatientLink.state == match_rows.MATCHED,
            PatientLink.is_stale.is_(False),
        )
        for is_record, one, generation, other in session.execute(union_all(theirs, matched)):
            if is_record:
                records[one] = (generation, other)
            else:
                matches[one] = other
    return Grounds(records, matches)
