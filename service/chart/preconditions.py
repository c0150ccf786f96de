"""What has to hold before a record is made or changed; each refusal names its element."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import r4
from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.chart import queries, rules, trees
from service.chart.versions import RecordVersion
from service.errors import Conflict, InvalidContent, NotFound, VersionConflict
from service.record_types import BY_RESOURCE_TYPE
from service.store.tables import Patient, Record


@contextmanager
def as_findings() -> Iterator[None]:
    """Turn what mappings and guard refuse into our refusal, with every finding."""
    try:
        yield
    except MappingError as error:
        raise InvalidContent(error.finding) from None
    except InvalidResource as error:
        raise InvalidContent(error.findings) from None


def require_record_type(tree: Tree) -> None:
    if tree.get("resourceType") not in BY_RESOURCE_TYPE:
        kinds = ", ".join(sorted(BY_RESOURCE_TYPE))
        raise InvalidContent(Finding("resourceType", f"has to be one of {kinds}", "not-supported"))


def require_valid(tree: Tree) -> None:
    """Raise InvalidContent for what is not valid R4."""
    with as_findings():
        r4.require(tree)
    if tree["resourceType"] == "Questionnaire" and not isinstance(tree.get("url"), str):
        raise InvalidContent(Finding("Questionnaire.url", "a questionnaire is known by its url", "required"))


def free_id(session: Session, wanted: str | None) -> str:
    """Return the id of a new record."""
    if wanted is None:
        return str(uuid.uuid4())
    if not trees.FHIR_ID.fullmatch(wanted):
        raise InvalidContent(Finding("id", "is not a FHIR id: 1 to 64 letters, digits, '-' and '.'"))
    if session.get(Record, wanted) is not None:
        raise Conflict("There is a record with this id")
    return wanted


def same_questionnaire(session: Session, tree: Tree) -> RecordVersion | None:
    """Return the questionnaire of this url and version, None if there is none.

    Raises Conflict when it says anything else: answers that name the version rely on its content.
    """
    url, version = trees.canonical(tree)
    record = session.scalars(
        select(Record).where(
            Record.resource_type == "Questionnaire",
            Record.canonical_url == url,
            Record.canonical_version == version,
        )
    ).first()
    if record is None:
        return None
    entry = queries.get(session, "Questionnaire", record.id)
    if not trees.same(trees.with_id(tree, record.id), entry.tree):
        raise Conflict("Another questionnaire with this url and version is kept here; give a new version")
    return entry


def lock_current(
    session: Session,
    resource_type: str,
    record_id: str,
    if_version: int | None,
    *,
    withdrawn: bool = False,
    set_aside: bool = False,
) -> tuple[Record, RecordVersion]:
    """Return a record to be changed, held against others until the transaction ends.

    Raises VersionConflict for another version than if_version, Conflict for a record that was
    withdrawn and NotFound for one that was set aside, unless those are wanted.
    """
    _hold_patient(session, record_id)
    row = session.get(Record, record_id, with_for_update=True, populate_existing=True)
    if row is None or row.resource_type != resource_type or (row.set_aside and not set_aside):
        raise queries.missing(resource_type)
    if if_version is not None and row.version != if_version:
        raise VersionConflict("The record has another version by now; read it again")
    entry = queries.get(session, resource_type, record_id, set_aside=set_aside)
    if not withdrawn and is_withdrawn(entry):
        raise Conflict("The record was withdrawn; it can be read, and no longer changed")
    return row, entry


def _hold_patient(session: Session, record_id: str) -> None:
    """Hold whose a record is before the record, as a merge does: else the two wait for each other.

    Not on SQLite, where whoever writes is alone.
    """
    if session.get_bind().dialect.name != "sqlite":
        theirs = (
            select(Patient.id).join(Record, Record.patient_id == Patient.id).where(Record.id == record_id)
        )
        session.execute(theirs.with_for_update(read=True, key_share=True, of=Patient))


def is_withdrawn(entry: RecordVersion) -> bool:
    """Tell whether a record counts as entered in error; a questionnaire never does."""
    return entry.patient_id is not None and entry.status == trees.WITHDRAWN


def type_of(session: Session, record_id: str) -> str:
    row = session.get(Record, record_id)
    if row is None or row.set_aside:
        raise NotFound("There is no such record here")
    return row.resource_type


def kept_identity(tree: Tree, before: Tree, system: str) -> Tree:
    """Return the tree under the id and the identifier of ours that the record has had."""
    whole = trees.with_id(tree, before["id"])
    if any(known == system for known, _ in names_of(before)):
        whole = trees.with_identifier(whole, system, before["id"])
    return whole


def require_same_questionnaire(row: Record, tree: Tree) -> None:
    """Raise InvalidContent if a change would make it another questionnaire."""
    if tree["resourceType"] == "Questionnaire" and trees.canonical(tree) != (
        row.canonical_url,
        row.canonical_version,
    ):
        problem = "url and version say which questionnaire it is; create a new one"
        raise InvalidContent(Finding("Questionnaire.url", problem, "business-rule"))


def withdrawn_tree(tree: Tree, today: date) -> Tree:
    """Return the resource as one that was entered in error; a questionnaire has no such status."""
    mapping = BY_RESOURCE_TYPE[tree["resourceType"]].mapping
    if mapping is None:
        return {**tree, "status": trees.RETIRED}
    with as_findings():
        before = mapping.read(tree)
        written: Tree = mapping.write(rules.follow(before, rules.withdrawn(before), today), onto=tree)
        return written
