"""Whom all that is kept of a record is about: each version of it, and each copy there as last seen."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import address_in, subject_of
from service.chart.merges import Merges, Place, read_matched
from service.store.tables import Connection, Link, Record, Version

_BATCH = 200


def foreign_versions(session: Session, merges: Merges) -> Iterator[Finding]:
    """Yield what versions say that are another record's, or about somebody whose it never was.

    From the newest back: a record changes its patient by a merge alone, and by one that is undone.
    """
    query = (
        select(Record.id, Record.resource_type, Record.patient_id, Version)
        .join(Version, Version.record_id == Record.id)
        .order_by(Record.id, Version.version.desc())
    )
    record_id, owners = "", frozenset[str | None]()
    for row in session.execute(query.execution_options(yield_per=_BATCH)):
        version: Version = row.Version
        if row.id != record_id:
            record_id, owners = row.id, frozenset([row.patient_id])
        tree = read_tree(version.tree)
        place = f"history {row.id}, version {version.version}: {row.resource_type}"
        if tree is None or tree.get("resourceType") != row.resource_type:
            yield Finding(place, f"the row holds no {row.resource_type}", "structure")
            continue
        if tree.get("id") != row.id:
            yield Finding(f"{place}.id", "is another record's", "value")
        whom = _subject(tree) if row.patient_id is not None else None
        if whom not in owners:
            yield Finding(f"{place}.subject", "is about another patient than the record was", "business-rule")
        else:
            owners = _before(version.action, whom, merges)


def _before(action: str, patient_id: str | None, merges: Merges) -> frozenset[str | None]:
    """Return whose a record may have been before a version that is about a patient."""
    before = [patient_id]
    if action == "merge-patient":
        before += [merged for merged, into in merges.pairs if into == patient_id]
    elif action == "unmerge-patient":
        before += [into for merged, into in merges.pairs if merged == patient_id]
    return frozenset(before)


def foreign_copies(session: Session, merges: Merges) -> Iterator[Finding]:
    """Yield the copies that are about a Patient there to whom the record's patient was never matched.

    Where nobody there is known to be the patient, or a copy does not say whose it is by address, nothing
    contradicts it.
    """
    columns = (Link.record_id, Link.connection_id, Link.body, Record.resource_type, Record.patient_id)
    query = select(*columns, Connection.base_url).join(Record, Record.id == Link.record_id)
    query = query.join(Connection, Connection.id == Link.connection_id)
    query = query.where(Link.body.is_not(None), Record.patient_id.is_not(None)).order_by(*columns[:2])
    for rows in session.execute(query.execution_options(yield_per=_BATCH)).partitions(_BATCH):
        families = {row.patient_id: merges.family(row.patient_id) for row in rows}
        matched = read_matched(session, {one for family in families.values() for one in family})
        for row in rows:
            there = _there(families[row.patient_id], row.connection_id, matched, merges)
            if (problem := _problem(row, there)) is not None:
                yield Finding(f"links {row.record_id}: {row.resource_type}.subject", *problem)


def _there(
    family: set[str], connection_id: str, matched: Mapping[Place, set[str]], merges: Merges
) -> set[str]:
    places = [(one, connection_id) for one in family]
    return {one for place in places for ids in (matched, merges.left) for one in ids.get(place, ())}


def _problem(row: Any, there: set[str]) -> tuple[str, str] | None:
    body = read_tree(row.body)
    if body is None:
        return "the copy is no resource", "structure"
    whom = _subject(body, f"{row.base_url}/")
    if not there or whom is None or whom in there:
        return None
    return "the copy is about another Patient there than the record's patient", "business-rule"


def _subject(tree: Tree, prefix: str = "") -> str | None:
    """Return the id of the patient whom a tree is about, where it says that by address."""
    subject = subject_of(tree)
    address = address_in(subject.literal.removeprefix(prefix)) if subject and subject.literal else None
    return address.id if address and address.resource_type == "Patient" else None


def read_tree(text: str) -> Tree | None:
    """Return what a row holds; None for what is no object."""
    try:
        tree = exact_json.parse(text)
    except exact_json.JSONTextError:
        return None
    return tree if isinstance(tree, dict) else None
