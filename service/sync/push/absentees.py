"""Records that one server never gets (made by another, handed over, let go of), named by identifier."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.references import Name
from service.chart import aside
from service.store.statements import chunks
from service.store.tables import Link, Record, Version
from service.sync.identity import links
from service.sync.identity.links import LinkState
from service.sync.push.drafts import identity
from service.sync.states import State


def strangers(session: Session, connection_id: str, record_ids: Collection[str]) -> set[str]:
    """Return which of some records without a copy are not for this server.

    Another one made them, or they were handed over. One that this server made, and a person let go of,
    has a link still.
    """
    linked = select(Link.record_id).where(Link.connection_id == connection_id)
    pulled = (Version.action == "pull") & Version.record_id.not_in(linked)
    found: set[str] = set()
    for chunk in chunks(list(record_ids)):
        found.update(
            session.scalars(
                select(Version.record_id)
                .join(Record, Record.id == Version.record_id)
                .where(
                    Version.record_id.in_(chunk),
                    Version.version == 1,
                    pulled | (Record.set_aside == aside.HANDED_OVER),
                )
            )
        )
    return found


def nameable(
    session: Session, connection_id: str, references: Collection[str], system: str
) -> dict[str, Name]:
    """Return by what identifier those are known that never get an address there, by ``Type/id``.

    references: to what has no address there by now. One that nobody gave an identifier is named by the
    one that we would give it.
    """
    ids = [reference.partition("/")[2] for reference in references]
    known: dict[str, LinkState] = {}
    for chunk in chunks(ids):
        known |= links.known(session, connection_id, chunk)
    held = {record_id for record_id, one in known.items() if one.state is State.HELD}
    # What was sent without an answer is perhaps there; what has a copy waits for a person.
    perhaps = {record_id for record_id, one in known.items() if one.server_id or one.state is State.UNKNOWN}
    never = held | strangers(session, connection_id, set(ids) - held - perhaps)
    names: dict[str, Name] = {}
    for chunk in chunks(list(never)):
        rows = session.execute(
            select(Record.id, Record.resource_type, Record.tree).where(Record.id.in_(chunk))
        )
        for row in rows:
            name = identity(exact_json.parse(row.tree), system)
            names[f"{row.resource_type}/{row.id}"] = name or (system, row.id)
    return names
