"""Which records the one who asks may see and write."""

from collections.abc import Collection
from dataclasses import replace

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.auth.scopes import Interaction
from service.chart import Page, Patient, RecordVersion
from service.chart.queries import RecordQuery
from service.errors import InvalidContent, InvalidInput, NotFound
from service.record_types import BY_RESOURCE_TYPE
from service.routes import sight
from service.routes.services import chart, principal


def entry(resource_type: str, record_id: str, interaction: Interaction = "r") -> RecordVersion:
    """Return a record. Raises Forbidden, and NotFound also for a record of a patient out of sight."""
    principal().require(resource_type, interaction)
    try:
        found = chart().get(resource_type, record_id)
        principal().require_visible(found.patient_id)
    except NotFound:
        # In one way, or the sentence would tell which of the two it is.
        raise NotFound(f"There is no such {resource_type} here") from None
    return found


def confine(tree: Tree, before: Tree | None = None) -> None:
    """Raise if a token for one patient would write about another, or name what is out of its sight.

    before: the version that the tree replaces. Raises Forbidden, InvalidContent.
    """
    confined = principal().patient
    if confined is not None:
        principal().require_patient(_patient_of(tree))
        sight.require_in_sight(tree, confined, before)


def _patient_of(tree: Tree) -> str | None:
    """Return our id of the patient whom a resource is about; None where that cannot be told."""
    try:
        return chart().patient_of(tree)
    except InvalidContent:
        # That there is such a patient is not told to who is confined to another one.
        return None


def require_id_given_here(record_type: str, record_id: str | None) -> None:
    """Raise InvalidContent if a token for one patient would choose an id: it could be another's already."""
    if principal().patient is not None and record_id is not None:
        problem = "is given here; leave it out, and send an Idempotency-Key to create safely"
        raise InvalidContent(Finding(f"{record_type}.id", problem, "business-rule"))


def listed_patient(asked: str | None) -> str | None:
    """Return the patient to whom a list is narrowed. Raises Forbidden for another one."""
    confined = principal().patient
    if confined is not None and asked not in (None, confined):
        principal().require_patient(asked)
    return confined or asked


def split_identifier(text: str) -> tuple[str | None, str]:
    """Return system and value of ``system|value``; None for a value of any system."""
    system, bar, value = text.rpartition("|")
    if not value:
        raise InvalidInput(Finding("identifier", "has no value"))
    return (system if bar else None), value


def patient(patient_id: str) -> Patient:
    """Return a patient. Raises Forbidden, NotFound."""
    principal().require("Patient", "r")
    principal().require_visible(patient_id)
    return chart().patient(patient_id)


def patients(
    ids: Collection[str] | None, identifier: tuple[str | None, str] | None, limit: int, after: str | None
) -> Page[Patient]:
    """Return a page of the patients in sight, narrowed by id or identifier."""
    principal().require("Patient", "s")
    confined = principal().patient
    if ids is None and identifier is None and confined is None:
        return chart().patients(limit, after)
    wanted = None if ids is None else dict.fromkeys(ids)
    if confined is not None:
        wanted = {confined: None} if wanted is None or confined in wanted else {}
    found = [_named(identifier)] if identifier is not None else map(_known, wanted or ())
    seen = tuple(one for one in found if one is not None and (wanted is None or one.id in wanted))
    return Page(seen, None, len(seen))


def _named(identifier: tuple[str | None, str]) -> Patient | None:
    system, value = identifier
    if system is None:
        raise InvalidInput(Finding("identifier", "of a patient needs its system: system|value"))
    return chart().find_patient(system, value)


def _known(patient_id: str) -> Patient | None:
    try:
        return chart().patient(patient_id)
    except NotFound:
        return None


def records(query: RecordQuery) -> Page[RecordVersion]:
    """Return a page of the records in sight. Raises Forbidden for another patient than the token's."""
    if BY_RESOURCE_TYPE[query.resource_type].is_of_patient:
        query = replace(query, patient=listed_patient(query.patient))
    if query.after is not None and principal().patient is not None:
        _require_end_of_page(query)
    return chart().find(query)


def _require_end_of_page(query: RecordQuery) -> None:
    # A page of theirs ends on a record of theirs; whether there is another's of that id is not told.
    ended_on = RecordQuery(
        resource_type=query.resource_type, ids=[str(query.after)], patient=query.patient, limit=1
    )
    if not chart().find(ended_on).entries:
        raise InvalidInput(Finding("after", "is not where a page ended", "value"))
