"""Resources and all their versions, in memory; every change is whole or not at all."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_mappings.exact_json import Tree

Clock = Callable[[], datetime]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one resource; a deletion is a version without a tree."""

    resource_type: str
    id: str
    number: int
    at: datetime
    order: int
    method: str
    tree: Tree | None

    @property
    def address(self) -> str:
        return f"{self.resource_type}/{self.id}"

    @property
    def versioned_address(self) -> str:
        return f"{self.address}/_history/{self.number}"

    @property
    def etag(self) -> str:
        return f'W/"{self.number}"'

    @property
    def content(self) -> Tree:
        """The tree of a version that is known not to be a deletion."""
        if self.tree is None:
            raise LookupError(f"{self.versioned_address} is a deletion")
        return self.tree


class Store:
    """Versions by type and id. One lock: whoever reads or writes more than one thing holds `atomic()`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._chains: dict[str, dict[str, tuple[Version, ...]]] = {}
        self._by_identifier: dict[tuple[str, str], set[str]] = {}
        self._by_reference: dict[str, dict[Key, None]] = {}
        self._ids = itertools.count(1000)
        self._orders = itertools.count(1)
        self._journal: list[tuple[Key, tuple[Version, ...]]] = []
        self._depth = 0

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Hold the lock; if the block fails, take back what it wrote. When nested, the outermost decides."""
        with self._lock:
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._undo()
                raise
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._journal.clear()

    def _undo(self) -> None:
        for (resource_type, resource_id), chain in reversed(self._journal):
            if chain:
                self._chains[resource_type][resource_id] = chain
            else:
                del self._chains[resource_type][resource_id]

    def new_id(self) -> str:
        return str(next(self._ids))

    def now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        """The newest version, which may be a deletion."""
        chain = self.versions(resource_type, resource_id)
        return chain[-1] if chain else None

    def living(self, resource_type: str, resource_id: str) -> Version | None:
        version = self.latest(resource_type, resource_id)
        return version if version is not None and version.tree is not None else None

    def versions(self, resource_type: str, resource_id: str) -> tuple[Version, ...]:
        """Oldest first; empty if there never was such a resource."""
        return self._chains.get(resource_type, {}).get(resource_id, ())

    def all_living(self, resource_type: str | None = None) -> list[Version]:
        return [chain[-1] for chain in self._all_chains(resource_type) if chain[-1].tree is not None]

    def with_identifier(self, resource_type: str, values: set[str]) -> list[Version]:
        """Living resources that have, or once had, one of these identifier values."""
        ids = set().union(*(self._by_identifier.get((resource_type, value), ()) for value in values))
        found = (self.living(resource_type, resource_id) for resource_id in sorted(ids))
        return [version for version in found if version is not None]

    def referring_to(self, address: str) -> list[Version]:
        """Living resources that have, or once had, a reference to this `Type/id`."""
        found = (self.living(*key) for key in self._by_reference.get(address, ()))
        return [version for version in found if version is not None]

    def log(self, resource_type: str | None = None) -> list[Version]:
        """Every version of every resource, newest first."""
        with self._lock:
            every = [version for chain in self._all_chains(resource_type) for version in chain]
        return sorted(every, key=lambda version: -version.order)

    def _all_chains(self, resource_type: str | None) -> list[tuple[Version, ...]]:
        with self._lock:
            kinds = list(self._chains) if resource_type is None else [resource_type]
            return [chain for kind in kinds for chain in self._chains.get(kind, {}).values()]

    def append(self, version: Version) -> Version:
        """Add a version that `next_version` numbered; inside `atomic()` only."""
        of_type = self._chains.setdefault(version.resource_type, {})
        chain = of_type.get(version.id, ())
        self._journal.append(((version.resource_type, version.id), chain))
        of_type[version.id] = (*chain, version)
        for value in _identifier_values(version.tree):
            self._by_identifier.setdefault((version.resource_type, value), set()).add(version.id)
        for address in _references(version.tree):
            self._by_reference.setdefault(address, {})[version.resource_type, version.id] = None
        return version

    def next_version(self, key: Key, method: str, make: Callable[[int, datetime], Tree | None]) -> Version:
        """Number and stamp the next version of a resource; `make` builds its tree from both."""
        latest = self.latest(*key)
        number = latest.number + 1 if latest is not None else 1
        now = self.now()
        return Version(
            resource_type=key[0],
            id=key[1],
            number=number,
            at=now,
            order=next(self._orders),
            method=method,
            tree=make(number, now),
        )


def _identifier_values(tree: Tree | None) -> Iterator[str]:
    identifiers = (tree or {}).get("identifier", [])
    for identifier in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            yield identifier["value"]


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for item in tree:
            yield from _references(item)
    elif isinstance(tree, dict):
        for name, member in tree.items():
            if name == "reference" and isinstance(member, str):
                yield member
            else:
                yield from _references(member)
