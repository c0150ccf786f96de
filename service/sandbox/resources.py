"""What can be done to one resource: read, create, update, delete, with their conditions."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from fhir_mappings.exact_json import Number, Tree, dump
from service.sandbox.outcomes import FHIRError
from service.sandbox.references import check, referrer, rewritten, without_versions
from service.sandbox.resource_types import RESOURCE_TYPES
from service.sandbox.search.query import Query, find, parse
from service.sandbox.store import Key, Store, Version
from service.sandbox.structure import require_type, without_empties

_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')
_CLIENT_ID = re.compile(r"(?![0-9]*\Z)[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a write: 201 created, 200 otherwise; no `version` if there was nothing to delete."""

    status: int
    version: Version | None


@dataclass(frozen=True, slots=True)
class Promises:
    """What the transaction around a write will bring about before it ends."""

    coming: frozenset[Key] = frozenset()
    leaving: frozenset[Key] = frozenset()


NOTHING = Promises()


def read(store: Store, key: Key) -> Version:
    version = store.latest(*key)
    if version is None:
        raise FHIRError(404, f"Resource {key[0]}/{key[1]} is not known", "not-found")
    if version.tree is None:
        raise FHIRError(410, f"Resource {key[0]}/{key[1]} was deleted", "deleted")
    return version


def vread(store: Store, key: Key, number: str) -> Version:
    for version in store.versions(*key):
        if str(version.number) == number:
            if version.tree is None:
                raise FHIRError(410, f"Version {number} of {version.address} is its deletion", "deleted")
            return version
    raise FHIRError(404, f"Version {number} of {key[0]}/{key[1]} is not known", "not-found")


def create(
    store: Store,
    resource_type: str,
    tree: Tree,
    if_none_exist: str | None = None,
    *,
    assigned_id: str | None = None,
    promises: Promises = NOTHING,
) -> Done:
    """Make a new resource; a conditional create answers 200 with the one that is there already."""
    require_type(tree, resource_type)
    with store.atomic():
        if if_none_exist:
            query = condition(resource_type, if_none_exist)
            present = one_match(store, query, "If-None-Exist")
            if present is not None:
                return Done(200, present)
        tree = _checked(store, tree, promises)
        version = _store(store, (resource_type, assigned_id or store.new_id()), tree, "POST")
        if if_none_exist and not all(criterion.holds(version) for criterion in query.criteria):
            status = 400 if promises is NOTHING else 412
            raise FHIRError(status, "The supplied resource did not satisfy the conditional URL")
        return Done(201, version)


def update(
    store: Store, key: Key, tree: Tree, if_match: str | None = None, *, promises: Promises = NOTHING
) -> Done:
    """Replace a resource, or create it under the client's id. What changes nothing makes no new version."""
    require_type(tree, key[0])
    if tree.get("id") is None:
        raise FHIRError(400, "Can not update resource, resource body must contain an ID element")
    if tree["id"] != key[1]:
        raise FHIRError(
            400, "Can not update resource, resource body must contain an ID element which matches the URL"
        )
    with store.atomic():
        latest = store.latest(*key)
        if latest is None and not _CLIENT_ID.fullmatch(key[1]):
            raise FHIRError(
                400, "Clients may only assign IDs which contain at least one non-numeric character"
            )
        if latest is not None:
            require_version(latest, if_match)
        tree = _checked(store, tree, promises)
        if latest is None or latest.tree is None:
            return Done(201, _store(store, key, tree, "PUT"))
        candidate = _stamped(store, key, tree, "PUT")
        if _same(_bare(candidate.content), _bare(latest.tree)):
            return Done(200, latest)
        return Done(200, store.append(candidate))


def update_where(
    store: Store,
    resource_type: str,
    tree: Tree,
    criteria: str,
    *,
    assigned_id: str | None = None,
    promises: Promises = NOTHING,
) -> Done:
    """Conditional update: the one match is replaced; without a match, it is a create.

    Neither If-Match nor the id in the body is looked at, as in the server that this one resembles.
    """
    require_type(tree, resource_type)
    with store.atomic():
        present = one_match(store, condition(resource_type, criteria), "conditional update")
        if present is None:
            return create(store, resource_type, tree, assigned_id=assigned_id, promises=promises)
        return update(store, (resource_type, present.id), {**tree, "id": present.id}, promises=promises)


def delete(store: Store, key: Key, *, promises: Promises = NOTHING) -> Done:
    """Delete; If-Match is not looked at, as in the server that this one resembles."""
    with store.atomic():
        if store.living(*key) is None:
            return Done(200, None)
        holder = referrer(store, key, promises.leaving)
        if holder is not None:
            raise FHIRError(
                409, f"Unable to delete {key[0]}/{key[1]} because {holder.address} refers to it", "conflict"
            )
        version = store.append(store.next_version(key, "DELETE", lambda _number, _at: None))
        return Done(200, version)


def delete_where(store: Store, resource_type: str, criteria: str) -> Done:
    with store.atomic():
        present = one_match(store, condition(resource_type, criteria), "conditional delete")
        return Done(200, None) if present is None else delete(store, (resource_type, present.id))


def condition(resource_type: str, criteria: str) -> Query:
    """The query of an If-None-Exist or of a conditional URL, with or without its type in front."""
    text = criteria.partition("?")[2] if "?" in criteria else criteria
    query = parse(resource_type, parse_qsl(text, keep_blank_values=True))
    if not query.criteria:
        raise FHIRError(400, "A condition needs at least one search parameter")
    return query


def one_match(store: Store, query: Query, purpose: str) -> Version | None:
    found = find(store, query)
    if len(found) > 1:
        raise FHIRError(412, f"The {purpose} matches {len(found)} resources", "multiple-matches")
    return found[0] if found else None


def literal_reference(store: Store, reference: str) -> str:
    """A conditional reference (`Patient?identifier=…`) as the literal one to its only match."""
    resource_type, mark, criteria = reference.partition("?")
    if not mark or resource_type not in RESOURCE_TYPES:
        return reference
    present = one_match(store, condition(resource_type, criteria), "conditional reference")
    if present is None:
        raise FHIRError(404, f"Invalid match URL in a reference: no {resource_type} meets it", "not-found")
    return present.address


def require_version(latest: Version, if_match: str | None) -> None:
    """Refuse an update that was made from another version than the latest: 409, not 412."""
    if if_match is None:
        return
    match = _ETAG.fullmatch(if_match.strip())
    if match is None or match[1] != str(latest.number):
        raise FHIRError(
            409, f"Trying to update {latest.address} but this is not the current version", "conflict"
        )


def _checked(store: Store, tree: Tree, promises: Promises) -> Tree:
    """The tree as it will be stored, with conditional references resolved, if its references are good."""
    literal: Tree = without_versions(
        rewritten(without_empties(tree), lambda text: literal_reference(store, text))
    )
    check(store, literal, promises.coming)
    return literal


def _store(store: Store, key: Key, tree: Tree, method: str) -> Version:
    return store.append(_stamped(store, key, tree, method))


def _stamped(store: Store, key: Key, tree: Tree, method: str) -> Version:
    latest = store.living(*key)
    before: Tree = latest.content.get("meta", {}) if latest else {}

    def make(number: int, at: datetime) -> Tree:
        meta = _meta(tree.get("meta", {}), before, number, at)
        rest = {name: member for name, member in tree.items() if name not in ("resourceType", "id", "meta")}
        return {"resourceType": key[0], "id": key[1], "meta": meta, **rest}

    return store.next_version(key, method, make)


def _meta(given: Tree, before: Tree, number: int, at: datetime) -> Tree:
    meta = {**given, "versionId": str(number), "lastUpdated": at.isoformat(timespec="milliseconds")}
    # Tags and security labels are only ever added by an update; profiles go with the body.
    for name in ("tag", "security"):
        given_labels = given.get(name, [])
        known = set(map(_content, given_labels))
        labels = given_labels + [label for label in before.get(name, []) if _content(label) not in known]
        if labels:
            meta[name] = labels
    meta["source"] = f"{str(given.get('source', '')).partition('#')[0]}#{secrets.token_hex(8)}"
    return meta


def _content(label: Any) -> str:
    """Return what a label says, in whatever order."""
    return dump(dict(sorted(label.items())) if isinstance(label, dict) else label)


def _bare(tree: Tree) -> Tree:
    """The tree without what the server itself writes into it."""
    meta = {
        name: member
        for name, member in tree["meta"].items()
        if name not in ("versionId", "lastUpdated", "source")
    }
    source = tree["meta"]["source"].partition("#")[0]
    return {**tree, "meta": {**meta, "source": source}}


def _same(one: Any, other: Any) -> bool:
    """Equal trees; 7.5 and 7.50 are not, nor are true and 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(member, other[name]) for name, member in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Number) or isinstance(other, Number):
        return str(one) == str(other)
    return type(one) is type(other) and bool(one == other)
