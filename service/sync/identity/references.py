"""A resource as it is called here and as it is called there: ids and references. Pure.

Here, ``Goal/<id>`` is a record of ours, what has no record here is an absolute URL, and
people and conditions are named by identifier. There, all that the server holds is relative.
"""

from collections.abc import Mapping, Set
from dataclasses import KW_ONLY, dataclass, field

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, address_in, references, rewritten, subject_of
from service.sync.identity.reference_targets import OWNER_ELEMENT, is_looked_for

#: Of ``meta``, what a server says about its own copy.
_SERVERS_OWN = frozenset({"versionId", "lastUpdated", "source"})

#: A type and an identifier (system, value), as a logical reference names its target.
Logical = tuple[str, str, str]
#: Our id of the patient whose it has to be, empty for what is nobody's; and what is named.
Wanted = tuple[str, Logical]


@dataclass(frozen=True)
class ReferencesThere:
    """What is called how on one server.

    there: ``Goal/<id here>`` -> ``Goal/<id there>`` (or ``urn:uuid:`` within a transaction).
    logical: whose, a type and identifier -> ``Practitioner/<id there>``. believed, believed_people: what
    of this, and who by our id, was found a while ago and not looked at since. nameable: ``Goal/<id here>``
    -> the identifier of what never comes to be there, and is referred to by that. registered: who of our
    patients is meant where one is named by identifier.
    """

    base_url: str
    _: KW_ONLY
    there: Mapping[str, str] = field(default_factory=dict)
    logical: Mapping[Wanted, str] = field(default_factory=dict)
    believed: Set[Wanted] = frozenset()
    believed_people: Set[str] = frozenset()
    nameable: Mapping[str, Name] = field(default_factory=dict)
    registered: Mapping[Logical, str] = field(default_factory=dict)

    def here(self) -> "ReferencesHere":
        """Return the same, seen from the server."""
        return ReferencesHere(
            self.base_url,
            here={there: here for here, there in self.there.items()},
            logical={place: name for (_, name), place in self.logical.items()},
        )


@dataclass(frozen=True)
class ReferencesHere:
    """What the things on one server are called here.

    patient: ``Patient/<id here>`` of whom the resource is, however its subject is said there.
    """

    base_url: str
    _: KW_ONLY
    here: Mapping[str, str] = field(default_factory=dict)
    logical: Mapping[str, Logical] = field(default_factory=dict)
    patient: str | None = None


def wanted(patient_id: str, name: Logical) -> Wanted:
    """Return what is wanted where a record of a patient names something."""
    return (patient_id if name[0] in OWNER_ELEMENT else "", name)


def all_wanted(patient_id: str, tree: Tree) -> set[Wanted]:
    """Return what a record of a patient names by identifier and can be given an address for."""
    return {wanted(patient_id, name) for name in named(tree) if is_looked_for(name[0])}


def to_there(tree: Tree, addresses: ReferencesThere, server_id: str | None) -> Tree:
    """Return a tree of ours as the server calls it; without its id where it has none there yet."""
    subject = subject_of(tree)
    patient_id = subject.address.id if subject and subject.address else ""
    projected = _without_server_meta(
        rewritten(tree, lambda reference: _reference_there(reference, addresses, patient_id))
    )
    if server_id is not None:
        return {**projected, "id": server_id}
    return {key: value for key, value in projected.items() if key != "id"}


def to_here(body: Tree, places: ReferencesHere, record_id: str) -> Tree:
    """Return a server's tree as we call it."""
    projected = _without_server_meta(rewritten(body, lambda reference: _reference_here(reference, places)))
    if places.patient is not None:
        # The key order of FHIR: reference comes first.
        subject = {"reference": places.patient, **projected.get("subject", {})}
        projected = {**projected, "subject": {**subject, "reference": places.patient}}
    return {**projected, "id": record_id}


def referred(tree: Tree) -> set[str]:
    """Return the relative references of a tree, each as ``Type/id``."""
    return {str(spot.address) for spot in references(tree) if spot.address is not None}


def literals(tree: Tree) -> set[str]:
    """Return all literal references of a tree, of whatever form."""
    return {spot.literal for spot in references(tree) if spot.literal is not None}


def named(tree: Tree) -> set[Logical]:
    """Return what a tree refers to by type and identifier alone."""
    return {name for spot in references(tree) if (name := logical_name(spot.reference)) is not None}


def logical_name(reference: Tree) -> Logical | None:
    """Return the name that a logical reference gives; None if it is another kind of reference."""
    identifier = reference.get("identifier")
    if reference.get("reference") is not None or not isinstance(identifier, dict):
        return None
    name = (reference.get("type"), identifier.get("system"), identifier.get("value"))
    return (name[0], name[1], name[2]) if all(isinstance(one, str) for one in name) else None  # type: ignore[return-value]


def relative(reference: str, base_url: str) -> str:
    """Return a reference into a server as ``Type/id``; another one as it is."""
    address = address_in(reference.removeprefix(f"{base_url}/"))
    return str(address) if address else reference


def by_name(reference: Tree, resource_type: str, name: Name) -> Tree:
    """Return a reference by business identifier, for what has no address there, or none yet."""
    identifier = {key: value for key, value in (("system", name[0]), ("value", name[1])) if value}
    kept = {key: value for key, value in reference.items() if key not in ("reference", "_reference")}
    return {**kept, "type": resource_type, "identifier": identifier}


def _reference_there(reference: Tree, addresses: ReferencesThere, patient_id: str) -> Tree:
    target = reference.get("reference")
    if target is None:
        name = logical_name(reference)
        place = addresses.logical.get(wanted(patient_id, name)) if name else None
        return {"reference": place, **reference} if place else reference
    if not isinstance(target, str):
        return reference
    local = address_in(target)
    if local and str(local) not in addresses.there and str(local) in addresses.nameable:
        return by_name(reference, local.resource_type, addresses.nameable[str(local)])
    if local:
        return {**reference, "reference": addresses.there.get(str(local), target)}
    return {**reference, "reference": target.removeprefix(f"{addresses.base_url}/")}


def _reference_here(reference: Tree, places: ReferencesHere) -> Tree:
    target = reference.get("reference")
    if not isinstance(target, str):
        return reference
    address = address_in(target.removeprefix(f"{places.base_url}/"))
    if address is None:
        return reference
    if str(address) in places.here:
        return {**reference, "reference": places.here[str(address)]}
    without = {key: value for key, value in reference.items() if key != "reference"}
    if str(address) in places.logical and logical_name(without) == places.logical[str(address)]:
        return without
    return {**reference, "reference": f"{places.base_url}/{target.removeprefix(places.base_url + '/')}"}


def _without_server_meta(tree: Tree) -> Tree:
    meta = tree.get("meta")
    if not isinstance(meta, dict):
        return tree
    kept = {key: value for key, value in meta.items() if key not in _SERVERS_OWN}
    if kept:
        return {**tree, "meta": kept}
    return {key: value for key, value in tree.items() if key != "meta"}
