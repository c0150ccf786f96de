"""The law of every row, held against rows that are there: all of a backup, a sample for the doctor."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import references
from service.chart import lineage, ownership, targets
from service.chart.merges import read_merges
from service.chart.targets import Register
from service.errors import InvalidInput, ServiceError
from service.store.deployment import identifier_system
from service.store.tables import Record, Version

_BATCH = 200
#: A damaged file would bury the terminal.
_MOST_SAID = 20


@dataclass(frozen=True)
class Breach:
    """A row that contradicts the law, and where."""

    record_id: str
    findings: list[Finding]


def breaches(
    session: Session, *, sample: int | None = None, patients: Collection[str] | None = None
) -> Iterator[Breach]:
    """Yield the rows that are not their patient's.

    sample: look at so many only, here and there. patients: look at theirs, and at what names them.
    """
    columns = (Record.id, Record.resource_type, Record.patient_id, Record.tree, Version.tree)
    is_current = (Version.record_id == Record.id) & (Version.version == Record.version)
    query = select(*columns).outerjoin(Version, is_current).order_by(Record.id)
    if sample is not None:
        query = query.where(Record.id.in_(_sample(session, sample)))
    if patients is not None:
        named = [Record.tree.contains(f"Patient/{one}", autoescape=True) for one in patients]
        query = query.where(or_(Record.patient_id.in_(patients), *named))
    system = identifier_system(session)
    for rows in session.execute(query.execution_options(yield_per=_BATCH)).partitions(_BATCH):
        read = [(_Row(*columns), lineage.read_tree(columns[3])) for columns in rows]
        spots = [spot for _, tree in read if tree for spot in references(tree)]
        register = targets.read_register(session, spots)
        for row, tree in read:
            if findings := _findings(row, tree, system, register):
                yield Breach(row.record_id, findings)


class _Row(NamedTuple):
    record_id: str
    resource_type: str
    patient_id: str | None
    tree: str
    #: The text of the current version, which is what is shown.
    shown: str | None


def _sample(session: Session, size: int) -> Select[tuple[str]]:
    count = session.scalar(select(func.count()).select_from(Record)) or 0
    step = max(1, count // size)
    numbered = select(Record.id, func.row_number().over(order_by=Record.id).label("n")).subquery()
    return select(numbered.c.id).where(numbered.c.n % step == 0)


def _findings(row: _Row, tree: Tree | None, system: str, register: Register) -> list[Finding]:
    kind = row.resource_type
    if tree is None or tree.get("resourceType") != kind:
        return [Finding(kind, f"the row holds no {kind}", "structure")]
    findings = ownership.contradictions(tree, row.patient_id, system, references(tree), register)
    if tree.get("id") != row.record_id:
        findings.append(Finding(f"{kind}.id", "is another record's", "value"))
    if row.shown != row.tree:
        findings.append(Finding(kind, "its current version says something else", "value"))
    return findings


def require_lawful(
    session: Session,
    patients: Collection[str] | None = None,
    refusal: type[ServiceError] = InvalidInput,
) -> None:
    """Raise a refusal that names the first rows that are not their patient's.

    patients: look at the records of these as they are now; without, at earlier versions and copies too.
    """
    found: Iterator[Finding] = (
        Finding(f"{row.record_id}: {one.path}", one.problem, one.code)
        for row in breaches(session, patients=patients)
        for one in row.findings
    )
    if patients is None:
        merges = read_merges(session)
        versions, copies = lineage.foreign_versions(session, merges), lineage.foreign_copies(session, merges)
        found = chain(found, versions, copies)
    if findings := list(islice(found, _MOST_SAID)):
        raise refusal(findings)
