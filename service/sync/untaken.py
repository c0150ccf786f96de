"""What a server holds that cannot be taken: listed as it came, with what is wrong; never written."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.fhir_answers import version_of
from service.store.tables import InvalidResource
from service.sync import links


def keep(
    session: Session, connection_id: str, body: Tree, findings: Sequence[Finding], now: datetime
) -> None:
    """List a resource with what is wrong with it."""
    forget(session, connection_id, body)
    problems = [{"path": one.path, "problem": one.problem, "code": one.code} for one in findings]
    session.add(
        InvalidResource(
            connection_id=connection_id,
            resource_type=body["resourceType"],
            server_id=body["id"],
            server_version=version_of(body),
            body=exact_json.dump(body),
            findings=exact_json.dump(problems),
            seen_at=now,
        )
    )
    session.flush()


def forget(session: Session, connection_id: str, body: Tree) -> None:
    """Take a resource off the list."""
    session.execute(
        delete(InvalidResource).where(
            InvalidResource.connection_id == connection_id,
            InvalidResource.resource_type == body["resourceType"],
            InvalidResource.server_id == body["id"],
        )
    )


def bodies(session: Session, connection_id: str, resource_type: str, server_ids: list[str]) -> dict[str, str]:
    """Return the texts of the resources that are on the list, by server id."""
    refused: dict[str, str] = {}
    for some in links.chunks(server_ids):
        for row in session.execute(
            select(InvalidResource.server_id, InvalidResource.body).where(
                InvalidResource.connection_id == connection_id,
                InvalidResource.resource_type == resource_type,
                InvalidResource.server_id.in_(some),
            )
        ):
            refused[row.server_id] = row.body
    return refused
