"""What a server says it can do: a pure reading of its CapabilityStatement."""

from dataclasses import dataclass, field
from typing import Any

from fhir_mappings.exact_json import Tree


@dataclass(frozen=True)
class Abilities:
    """What a server offers for one resource type."""

    interactions: frozenset[str] = frozenset()
    search_params: frozenset[str] = frozenset()
    conditional_create: bool = False

    @property
    def can_create(self) -> bool:
        return "create" in self.interactions

    @property
    def can_update(self) -> bool:
        return "update" in self.interactions

    @property
    def can_search(self) -> bool:
        return "search-type" in self.interactions

    @property
    def tells_deletions(self) -> bool:
        return "history-type" in self.interactions

    @property
    def tells_updates(self) -> bool:
        return "_lastUpdated" in self.search_params


@dataclass(frozen=True)
class Capabilities:
    """What a server offers as a whole."""

    system: frozenset[str] = frozenset()
    types: dict[str, Abilities] = field(default_factory=dict)

    @property
    def has_transaction(self) -> bool:
        return "transaction" in self.system

    @property
    def has_batch(self) -> bool:
        return "batch" in self.system or self.has_transaction

    def of(self, resource_type: str) -> Abilities:
        return self.types.get(resource_type, _NOTHING)


_NOTHING = Abilities()


def read(statement: Tree) -> Capabilities:
    """Read a CapabilityStatement; what it does not say is not offered."""
    rest = next((one for one in _objects(statement, "rest") if one.get("mode") == "server"), {})
    return Capabilities(
        _codes(rest, "interaction", "code"),
        {
            one["type"]: Abilities(
                _codes(one, "interaction", "code"),
                _codes(one, "searchParam", "name") | _codes(rest, "searchParam", "name"),
                one.get("conditionalCreate") is True,
            )
            for one in _objects(rest, "resource")
            if isinstance(one.get("type"), str)
        },
    )


def _objects(node: Tree, member: str) -> list[Tree]:
    items: Any = node.get(member)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _codes(node: Tree, member: str, key: str) -> frozenset[str]:
    return frozenset(str(item[key]) for item in _objects(node, member) if isinstance(item.get(key), str))
