"""Copies that became another patient's there: both versions are kept until a person decides."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import aside
from service.fhir_client.outcomes import version_of
from service.store.tables import MovedCopy, OutboxRow, Version
from service.sync.identity import links
from service.sync.identity.links import Job
from service.sync.states import Reason, State


def set_aside(
    session: Session,
    connection_id: str,
    record_id: str,
    body: Tree,
    there: str | None,
    now: datetime,
) -> None:
    """Keep a copy that is another patient's by now, or bring the one that is kept up to date.

    What was born there is shown to nobody here. What was born here stays its patient's, as their side
    last had it: a plan for flare-ups must not vanish because somebody there corrected a chart.
    """
    row = session.get(MovedCopy, (record_id, connection_id))
    if row is None:
        row = MovedCopy(record_id=record_id, connection_id=connection_id, found_at=now)
        session.add(row)
    row.there, row.server_version, row.body = there, version_of(body), exact_json.dump(body)
    # Whatever was decided was decided about what it said before.
    row.decision = None
    session.flush()
    state = {
        "record_id": record_id,
        "resource_type": body["resourceType"],
        **links.explained(State.MOVED, Reason.OTHER_PATIENT_THERE),
    }
    links.save(session, connection_id, now, [state])
    session.execute(
        delete(OutboxRow).where(OutboxRow.record_id == record_id, OutboxRow.connection_id == connection_id)
    )
    if was_born_there(session, record_id):
        aside.hide(session, record_id)


def forget(session: Session, connection_id: str, jobs: Iterable[Job]) -> None:
    """Forget what copies said as another patient's: they were written back."""
    for job in jobs:
        session.execute(
            delete(MovedCopy).where(
                MovedCopy.record_id == job.record_id, MovedCopy.connection_id == connection_id
            )
        )


def come_back(session: Session, connection_id: str, record_id: str) -> None:
    """Forget that a copy was another patient's: it is the record's patient's again, or nobody's."""
    row = session.get(MovedCopy, (record_id, connection_id))
    if row is not None:
        session.delete(row)
        aside.show_again(session, record_id)


def was_born_there(session: Session, record_id: str) -> bool:
    """Tell whether a record came to be by reading a server."""
    first = select(Version.action).where(Version.record_id == record_id, Version.version == 1)
    return session.scalar(first) == "pull"
