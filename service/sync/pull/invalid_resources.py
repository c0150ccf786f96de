"""What a server holds that cannot be taken: listed as it came, with what is wrong; never written."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import version_of
from service.store.tables import InvalidResource


def keep(
    session: Session, connection_id: str, body: Tree, findings: Sequence[Finding], now: datetime
) -> bool:
    """List a resource with what is wrong with it; False where that is on the list already."""
    key = (connection_id, body["resourceType"], body["id"])
    problems = [{"path": one.path, "problem": one.problem, "code": one.code} for one in findings]
    text, listed = exact_json.dump(body), exact_json.dump(problems)
    row = session.get(InvalidResource, key)
    if row is not None and (row.body, row.findings) == (text, listed):
        return False
    if row is None:
        row = InvalidResource(connection_id=key[0], resource_type=key[1], server_id=key[2])
        session.add(row)
    row.server_version, row.body, row.findings, row.seen_at = version_of(body), text, listed, now
    session.flush()
    return True


def forget(session: Session, connection_id: str, body: Tree) -> None:
    """Take a resource off the list."""
    session.execute(
        delete(InvalidResource).where(
            InvalidResource.connection_id == connection_id,
            InvalidResource.resource_type == body["resourceType"],
            InvalidResource.server_id == body["id"],
        )
    )
