"""Batch and transaction (https://hl7.org/fhir/R4/http.html#transaction)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fhir_mappings.exact_json import Tree
from service.sandbox import resources
from service.sandbox.outcomes import FHIRError, operation_outcome
from service.sandbox.references import rewritten
from service.sandbox.resources import Done, Promises
from service.sandbox.store import Key, Store
from service.sandbox.structure import require_known_type, require_readable, require_type

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}

Get = Callable[[str], Tree]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a bundle, understood."""

    position: int
    method: str
    resource_type: str
    id: str | None
    criteria: str
    url: str
    full_url: str | None
    tree: Tree | None
    if_match: str | None
    if_none_exist: str | None

    @property
    def body(self) -> Tree:
        if self.tree is None:
            raise FHIRError(400, f"Entry {self.position} has no resource")
        return self.tree

    @property
    def key(self) -> Key:
        if self.id is None:
            raise FHIRError(400, f"Entry {self.position} needs an id in its request.url")
        return self.resource_type, self.id


def process(store: Store, bundle: Tree, get: Get, representation: bool) -> Tree:
    """Carry out a batch or a transaction; `get` answers the reading entries."""
    require_type(bundle, "Bundle")
    kind = bundle.get("type")
    if kind not in ("batch", "transaction"):
        raise FHIRError(400, "Unable to process transaction where incoming Bundle.type is neither of the two")
    raw = bundle.get("entry", [])
    if not isinstance(raw, list):
        raise FHIRError(400, "Bundle.entry is not a list")
    for item in raw:
        # The body is parsed as a whole: one unreadable resource refuses a batch too.
        if isinstance(item, dict) and "resource" in item:
            require_readable(item["resource"])
    answers = (_transaction if kind == "transaction" else _batch)(store, raw, get, representation)
    return {"resourceType": "Bundle", "type": f"{kind}-response", **({"entry": answers} if answers else {})}


def _batch(store: Store, raw: list[Any], get: Get, representation: bool) -> list[Tree]:
    answers = []
    for position, item in enumerate(raw):
        try:
            answers.append(_perform(store, understand(position, item), get, representation))
        except FHIRError as error:
            answers.append(_refused(error))
    return answers


def _refused(error: FHIRError) -> Tree:
    return {"response": {"status": _status_line(error.status), "outcome": error.outcome()}}


def _transaction(store: Store, raw: list[Any], get: Get, representation: bool) -> list[Tree]:
    every = [understand(position, item) for position, item in enumerate(raw)]
    stand_in = _stand_ins(every)
    # Of several entries with the same condition only the first is carried out, and only it is answered.
    entries = [entry for entry in every if stand_in[entry.position] == entry.position]
    with store.atomic():
        keys = {entry.position: _destination(store, entry) for entry in entries}
        addresses = {
            entry.full_url: "/".join(key)
            for entry in every
            if entry.full_url and (key := keys[stand_in[entry.position]])
        }
        promises = _promises(entries, keys)
        # Conditional references are resolved before anything is written: they see no entry of their bundle.
        resolved = [_resolved(store, entry, addresses) for entry in entries]
        answers = {
            entry.position: _perform(store, entry, get, representation, promises, keys[entry.position])
            for entry in sorted(resolved, key=lambda entry: _ORDER[entry.method])
        }
    return [answers[position] for position in sorted(answers)]


def _stand_ins(entries: list[Entry]) -> dict[int, int]:
    """The position of the first entry with the same ifNoneExist, for each position."""
    first: dict[tuple[str, str], int] = {}
    return {
        entry.position: first.setdefault((entry.resource_type, entry.if_none_exist), entry.position)
        if entry.if_none_exist
        else entry.position
        for entry in entries
    }


def _destination(store: Store, entry: Entry) -> Key | None:
    """Where an entry's resource will be: known before anything is written, so that others can refer to it."""
    if entry.method not in ("POST", "PUT"):
        return None
    if entry.id is not None:
        return entry.key
    condition = entry.if_none_exist if entry.method == "POST" else entry.criteria
    if condition:
        present = resources.one_match(store, resources.condition(entry.resource_type, condition), "condition")
        if present is not None:
            return entry.resource_type, present.id
    return entry.resource_type, store.new_id()


def _promises(entries: list[Entry], keys: dict[int, Key | None]) -> Promises:
    leaving = [entry.key for entry in entries if entry.method == "DELETE" and entry.id is not None]
    coming = [entry.key for entry in entries if entry.method == "PUT" and entry.id is not None]
    names = [entry.full_url for entry in entries if entry.full_url and entry.method in ("POST", "PUT")]
    if len(set(leaving + coming)) < len(leaving + coming) or len(set(names)) < len(names):
        raise FHIRError(400, "Transaction bundle contains multiple resources with the same ID")
    return Promises(frozenset(key for key in keys.values() if key), frozenset(leaving))


def _resolved(store: Store, entry: Entry, addresses: dict[str, str]) -> Entry:
    """The entry with its references to other entries, and its conditional ones, made literal."""
    if entry.tree is None:
        return entry

    def literal(reference: str) -> str:
        if reference in addresses:
            return addresses[reference]
        if reference.startswith("urn:uuid:"):
            raise FHIRError(
                400, f"Entry {entry.position}: a placeholder reference matches no entry of the bundle"
            )
        return resources.literal_reference(store, reference)

    return replace(entry, tree=rewritten(entry.tree, literal))


def understand(position: int, item: Any) -> Entry:
    """Read one entry; what it lacks is refused by position."""
    request = item.get("request") if isinstance(item, dict) else None
    if not isinstance(request, dict):
        raise FHIRError(400, f"Entry {position} has no request")
    method, url = str(request.get("method")), str(request.get("url", ""))
    if method not in _ORDER:
        raise FHIRError(400, f"Entry {position}: unable to handle this request.method")
    path, _, criteria = url.partition("?")
    resource_type, _, resource_id = path.strip("/").partition("/")
    if method != "GET":
        require_known_type(resource_type)
    return Entry(
        position=position,
        method=method,
        resource_type=resource_type,
        id=resource_id or None,
        criteria=criteria,
        url=url,
        full_url=item.get("fullUrl"),
        tree=item.get("resource"),
        if_match=request.get("ifMatch"),
        if_none_exist=request.get("ifNoneExist"),
    )


def _perform(
    store: Store,
    entry: Entry,
    get: Get,
    representation: bool,
    promises: Promises = resources.NOTHING,
    destination: Key | None = None,
) -> Tree:
    if entry.method == "GET":
        try:
            return {"resource": get(entry.url), "response": {"status": "200 OK"}}
        except FHIRError as error:
            # A read that finds nothing fails no transaction.
            return _refused(error)
    done = _write(store, entry, promises, destination)
    answer = {"response": _response(done)}
    if representation and done.version is not None and done.version.tree is not None:
        return {"resource": done.version.tree, **answer}
    return answer


def _write(store: Store, entry: Entry, promises: Promises, destination: Key | None) -> Done:
    kind = entry.resource_type
    if entry.method == "DELETE":
        if entry.id is None:
            return resources.delete_where(store, kind, entry.criteria)
        return resources.delete(store, entry.key, promises=promises)
    assigned_id = destination[1] if destination else None
    if entry.method == "POST":
        condition = entry.if_none_exist
        return resources.create(
            store, kind, entry.body, condition, assigned_id=assigned_id, promises=promises
        )
    if entry.id is None:
        return resources.update_where(
            store, kind, entry.body, entry.criteria, assigned_id=assigned_id, promises=promises
        )
    tree = {**entry.body, "id": entry.id}
    return resources.update(store, entry.key, tree, entry.if_match, promises=promises)


def _response(done: Done) -> Tree:
    version = done.version
    if version is None or version.tree is None:
        outcome = operation_outcome("information", "informational", "Deleted, or was not there")
        return {"status": _status_line(204), "outcome": outcome}
    return {
        "status": _status_line(done.status),
        "location": version.versioned_address,
        "etag": str(version.number),
        "lastModified": version.at.isoformat(timespec="milliseconds"),
        "outcome": operation_outcome(
            "information", "informational", f"Stored as {version.versioned_address}"
        ),
    }


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
