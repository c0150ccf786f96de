"""Resources of a server that are copies of our records, as they were last seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import version_of
from service.store.statements import chunks
from service.store.tables import Link, MovedCopy, PatientLink, Record
from service.sync.identity import match_rows
from service.sync.identity.links import LinkState
from service.sync.identity.subjects import Copy
from service.sync.states import State


@dataclass(frozen=True, kw_only=True)
class Held:
    """A record whose copy a resource is. seen: its version and text as we last saw it, whoever's it was."""

    record_id: str
    patient_id: str
    known: LinkState
    seen_version: str | None
    seen: str | None


def copy_of(body: Tree, held: Held | None) -> Copy:
    """Return a resource as it came, beside what is known of it."""
    if held is None:
        return Copy(body)
    last_seen = held.known.tree if held.known.body is not None else None
    return Copy(body, owner=held.patient_id, record_id=held.record_id, last_seen=last_seen)


def read_held(
    session: Session, connection_id: str, resource_type: str, server_ids: list[str]
) -> dict[str, Held]:
    held: dict[str, Held] = {}
    for chunk in chunks(server_ids):
        rows: Iterable[Any] = session.execute(
            select(Link, Record.patient_id, MovedCopy, PatientLink)
            .join(Record, Record.id == Link.record_id)
            .outerjoin(
                MovedCopy,
                (MovedCopy.record_id == Link.record_id) & (MovedCopy.connection_id == Link.connection_id),
            )
            .outerjoin(
                PatientLink,
                (PatientLink.patient_id == Record.patient_id)
                & (PatientLink.connection_id == Link.connection_id)
                & (PatientLink.state == match_rows.MATCHED),
            )
            .where(
                Link.connection_id == connection_id,
                Link.resource_type == resource_type,
                Link.server_id.in_(chunk),
            )
        )
        for link, patient_id, moved, match in rows:
            known = LinkState(
                State(link.state),
                server_id=link.server_id,
                server_version=link.server_version,
                body=link.body,
            )
            seen_version, seen = _last_seen(link, moved, match)
            held[str(link.server_id)] = Held(
                record_id=link.record_id,
                patient_id=str(patient_id),
                known=known,
                seen_version=seen_version,
                seen=seen,
            )
    return held


def _last_seen(
    link: Link, moved: MovedCopy | None, match: PatientLink | None
) -> tuple[str | None, str | None]:
    """Return version and text of a copy as it was last judged; nothing of one that is to be judged again."""
    if moved is None:
        return link.server_version, link.body
    theirs = (match.server_id, *match_rows.earlier_ids(match)) if match is not None else ()
    if moved.decision is None and (moved.there is None or moved.there in theirs):
        # Somebody has said since that the two are one person, or which of them ours is.
        return None, None
    return moved.server_version, moved.body


def is_echo(body: Tree, held: Held | None) -> bool:
    """Tell whether this is what we have seen already; our own writes come back so."""
    if held is None or held.seen is None:
        return False
    version = version_of(body)
    if version is not None and version == held.seen_version:
        return True
    return version is None and bool(exact_json.parse(held.seen) == body)
