"""How fine a merge may cut a resource: read off the mappings, so that it is declared once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fhir_mappings.errors import MappingError
from fhir_mappings.lens import elements, lists, mapping
from fhir_mappings.resources import BY_RESOURCE_TYPE

#: Says what names an item among its neighbours, or None.
Natural = Callable[[Any], Any]


@dataclass(frozen=True)
class Grain:
    """What of an object is one value, and what is merged within.

    choices: members that together say one ``value[x]``, each with the name of the whole.
    parts: members that are objects, or lists of objects, to be merged within.
    naturals: per list, what names an item.
    """

    choices: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Callable[[], "Grain"]] = field(default_factory=dict)
    naturals: Mapping[str, Natural] = field(default_factory=dict)

    def natural(self, member: str, item: Any) -> Any:
        """Return what names an item of a list among its neighbours, or None."""
        named = self.naturals.get(member) or _EVERYWHERE.get(member)
        return named(item) if named and isinstance(item, dict) else None


def of_resource_type(resource_type: str) -> Grain:
    """Return the grain of a resource type; one that has no mapping is cut at its elements."""
    mapping = BY_RESOURCE_TYPE.get(resource_type)
    return _of(mapping) if mapping else Grain()


@cache
def _of(mapping: mapping.Mapping[Any]) -> Grain:
    choices: dict[str, str] = {}
    parts: dict[str, Callable[[], Grain]] = {}
    naturals: dict[str, Natural] = {}
    for one in mapping.fields.values():
        if isinstance(one, elements.ChoiceOf):
            choices.update(dict.fromkeys(one.keys, one.where))
        elif isinstance(one, elements.Part):
            parts[one.name] = _later(one.type)
        elif isinstance(one, lists.Items) and not one.shared:
            parts[one.name] = _later(one.mapping)
            if one.natural:
                naturals[one.name] = _reading(one.mapping, one.natural)
    return Grain(choices, parts, naturals)


def _later(mapping: mapping.Mapping[Any]) -> Callable[[], Grain]:
    # Items hold items: the grain of what lies below is made when it is asked for.
    return lambda: _of(mapping)


def _reading(mapping: mapping.Mapping[Any], natural: Natural) -> Natural:
    def named(element: Any) -> Any:
        try:
            return natural(mapping.read(element, []))
        except MappingError:
            return None

    return named


def _identifier(item: Any) -> Any:
    return (item.get("system"), item["value"]) if "value" in item else None


#: Lists that are the same in every resource.
_EVERYWHERE: dict[str, Natural] = {
    "extension": lambda item: item.get("url"),
    "modifierExtension": lambda item: item.get("url"),
    "identifier": _identifier,
}
