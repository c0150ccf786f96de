"""One value translated: a record into FHIR, a resource into a record, or what stands in the way."""

from dataclasses import dataclass, field

from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources import BY_RECORD_TYPE, BY_RESOURCE_TYPE
from service import schemas
from service.cli.inputs import Item
from service.errors import ServiceError, to_operation_outcome
from service.translation import mapping_for, to_resource

OUTCOME = "OperationOutcome"


@dataclass(frozen=True, kw_only=True)
class Translated:
    """What one value became; with findings it is an OperationOutcome in its place.

    resource_type and id: of the value that came in, where it says them.
    loss: the leaves of the resource that the record has no word for.
    """

    tree: Tree
    resource_type: str | None = None
    id: str | None = None
    loss: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def translated(item: Item, to: str | None, original: Item | None = None) -> Translated:
    """Translate one value; nothing is raised for what is wrong with it.

    to: ``fhir`` or ``records``; None is the form that it does not have.
    original: the resource onto which a record is written.
    """
    if item.tree is None:
        return _refused(item, item.findings)
    if item.tree.get("resourceType") == OUTCOME:
        return Translated(tree=item.tree, resource_type=OUTCOME, id=_text(item, "id"))
    try:
        return _translated(item, item.tree, to, original)
    except (MappingError, InvalidResource, ServiceError) as error:
        return _refused(item, findings_of(error))
    except Exception as error:
        # A defect of ours with one value must not cost the others; its text could repeat what was said.
        return _refused(item, [Finding("", f"failed here: {type(error).__name__}", "exception")])


def findings_of(error: MappingError | InvalidResource | ServiceError) -> list[Finding]:
    """Return what a refusal found."""
    return [error.finding] if isinstance(error, MappingError) else error.findings


def is_resource(tree: Tree) -> bool:
    return "resourceType" in tree


def _translated(item: Item, tree: Tree, to: str | None, original: Item | None) -> Translated:
    if is_resource(tree):
        if original is not None:
            raise MappingError("resourceType", "is FHIR already; --onto goes with records")
        mapping = mapping_for(tree)
        out = tree if to == "fhir" else schemas.dump(mapping.read(tree))
        return Translated(
            tree=out, resource_type=mapping.resource_type, id=_text(item, "id"), loss=mapping.loss(tree)
        )
    record = schemas.load(tree)
    resource = to_resource(record, _original(original))
    mapping = BY_RESOURCE_TYPE[resource["resourceType"]]
    if to == "records":
        return Translated(
            tree=schemas.dump(record), resource_type=mapping.resource_type, id=_text(item, "id")
        )
    return Translated(
        tree=resource, resource_type=mapping.resource_type, id=_text(item, "id"), loss=mapping.loss(resource)
    )


def _original(item: Item | None) -> Tree | None:
    """Return the resource onto which a record is to be written. Raises InvalidResource."""
    if item is not None and item.tree is None:
        raise InvalidResource(
            [Finding(one.path, f"the original: {one.problem}", one.code) for one in item.findings]
        )
    return None if item is None else item.tree


def _refused(item: Item, findings: list[Finding]) -> Translated:
    mapping = BY_RECORD_TYPE.get(_text(item, "type") or "")
    type_ = mapping.resource_type if mapping else _text(item, "resourceType")
    return Translated(
        tree=to_operation_outcome(findings), resource_type=type_, id=_text(item, "id"), findings=findings
    )


def _text(item: Item, name: str) -> str | None:
    value = item.tree.get(name) if item.tree is not None else None
    return value if isinstance(value, str) else None
