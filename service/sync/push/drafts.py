"""What is to be sent for a record, if anything can be: an entry, nothing, or a reason why not."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from fhir_mappings import r4
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, names_of
from service.errors import to_operation_outcome
from service.sync.identity.links import Job
from service.sync.identity.references import ReferencesThere, by_name, to_there
from service.sync.identity.subject_policy import subject_there
from service.sync.merge.resources import onto
from service.sync.push.bundles import Entry
from service.sync.push.results import PushResult, ServerCopy, rejected, synced
from service.sync.server.capabilities import Capabilities
from service.sync.states import Reason


@dataclass(frozen=True)
class Draft:
    """A record ready to go. again: it has to follow once more, with the references it lacks now."""

    job: Job
    entry: Entry
    again: bool = False


def identity(tree: Tree, system: str) -> Name | None:
    """Return the business identifier that a record is known by there: ours, else its own first."""
    names = names_of(tree)
    return next((name for name in names if name[0] == system), names[0] if names else None)


def draft(
    job: Job, addresses: ReferencesThere, base: Tree | None, capabilities: Capabilities, system: str
) -> Draft | PushResult:
    """Say what to send; base: our tree in the version that the copy there corresponds to, if known."""
    abilities = capabilities.of(job.resource_type)
    if job.is_create:
        name = identity(job.tree, system)
        if name is None:
            return rejected(job, Reason.NO_IDENTIFIER)
        if not abilities.can_create:
            return rejected(job, Reason.NOT_SUPPORTED)
        tree = to_there(job.tree, addresses, None)
        return Draft(
            job,
            Entry(record_id=job.record_id, tree=tree, name=name, conditional=abilities.conditional_create),
        )
    return _update(job, addresses, base, capabilities)


def _update(
    job: Job, addresses: ReferencesThere, base: Tree | None, capabilities: Capabilities
) -> Draft | PushResult:
    known = job.known
    here = to_there(job.tree, addresses, known.server_id)
    before = to_there(base, addresses, known.server_id) if base else _as_if_common(known.tree, here)
    if _is_about_another(known.tree, here, addresses.base_url):
        # The patient's match has changed: the copy follows, for it is here that somebody said who is who.
        before = {**before, "subject": known.tree["subject"]}
    try:
        tree = onto(before, here, known.tree)
    except MappingError as error:
        return rejected(job, Reason.EDIT_NOT_SAFE, to_operation_outcome([error.finding]))
    if tree == known.tree:
        assert known.server_id is not None
        return synced(
            job,
            ServerCopy(
                server_id=known.server_id,
                server_version=known.server_version,
                body=tree,
                synced_version=job.version,
            ),
        )
    if not capabilities.of(job.resource_type).can_update:
        return rejected(job, Reason.NOT_SUPPORTED)
    findings = r4.check(tree)
    if findings:
        return rejected(job, Reason.NOT_VALID, to_operation_outcome(findings))
    return Draft(job, Entry(record_id=job.record_id, tree=tree, replaces=True, version=known.server_version))


def _is_about_another(body: Tree, here: Tree, base_url: str) -> bool:
    there = subject_there(body, base_url).server_id
    return there is not None and there != subject_there(here, base_url).server_id


def _as_if_common(body: Tree, here: Tree) -> Tree:
    """Return a copy as the common base where none is known: what differs here was changed here.

    Not so what servers add on their own: tags in meta, a narrative.
    """
    before = {name: value for name, value in body.items() if name not in ("meta", "text")}
    return before | {name: here[name] for name in ("meta", "text") if name in here}


def without_cycle(job: Job, cycle: Mapping[str, Job], system: str, there: Set[str]) -> tuple[Job, bool]:
    """Return a job that names by identifier what of its cycle has no address there yet, and whether any."""
    missing = {job.local: job for job in cycle.values() if job.local not in there}
    if not missing.keys() & job.references:
        return job, False
    tree = _by_names(job.tree, missing, system)
    return Job(
        row=job.row,
        resource_type=job.resource_type,
        patient_id=job.patient_id,
        version=job.version,
        tree=tree,
        known=job.known,
    ), True


def _by_names(node: Tree, missing: Mapping[str, Job], system: str) -> Tree:
    return {key: _renamed(value, missing, system) for key, value in node.items()}


def _renamed(node: object, missing: Mapping[str, Job], system: str) -> object:
    if isinstance(node, list):
        return [_renamed(item, missing, system) for item in node]
    if not isinstance(node, dict):
        return node
    target = missing.get(str(node.get("reference")))
    if target is None:
        return _by_names(node, missing, system)
    name = identity(target.tree, system)
    if name is None:
        return node
    return by_name(node, target.resource_type, name)
