"""The law of every row, held against rows that are there: all of a backup, a sample for the doctor."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import references
from service.chart import ownership
from service.errors import InvalidInput
from service.store.deployment import identifier_system
from service.store.tables import Record

_BATCH = 200
#: A damaged file would bury the terminal.
_MOST_SAID = 20


@dataclass(frozen=True)
class Breach:
    """A row that contradicts the law, and where."""

    record_id: str
    findings: list[Finding]


def breaches(session: Session, sample: int | None = None) -> Iterator[Breach]:
    """Yield the rows that are not their patient's; sample: look at so many only, here and there."""
    query = select(Record.id, Record.patient_id, Record.tree).order_by(Record.id)
    if sample is not None:
        count = session.scalar(select(func.count()).select_from(Record)) or 0
        step = max(1, count // sample)
        numbered = select(
            Record.id, Record.patient_id, Record.tree, func.row_number().over(order_by=Record.id).label("n")
        ).subquery()
        query = select(numbered.c.id, numbered.c.patient_id, numbered.c.tree).where(numbered.c.n % step == 0)
    system = identifier_system(session)
    for rows in session.execute(query.execution_options(yield_per=_BATCH)).partitions(_BATCH):
        trees = [(record_id, patient_id, exact_json.parse(text)) for record_id, patient_id, text in rows]
        register = ownership.read_register(
            session, [spot for _, _, tree in trees for spot in references(tree)]
        )
        for record_id, patient_id, tree in trees:
            if findings := _findings(record_id, patient_id, tree, system, register):
                yield Breach(record_id, findings)


def _findings(
    record_id: str, patient_id: str | None, tree: Tree, system: str, register: ownership.Register
) -> list[Finding]:
    spots = list(references(tree))
    findings = ownership.contradictions(tree, patient_id, system, spots, register)
    if tree.get("id") != record_id:
        findings.append(Finding(f"{tree['resourceType']}.id", "is another record's", "value"))
    return findings


def require_lawful(session: Session) -> None:
    """Raise InvalidInput naming the first rows that are not their patient's."""
    findings = [
        Finding(f"{row.record_id}: {one.path}", one.problem, one.code)
        for row in islice(breaches(session), _MOST_SAID)
        for one in row.findings
    ]
    if findings:
        raise InvalidInput(findings)
