"""The entries of a Bundle as values of their own: whom they name by fullUrl, they name by type and id.

https://hl7.org/fhir/R4/bundle.html#references
"""

import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Spot, references, with_literals

#: Ids of what has none are made from what it says, so that the same again is the same record.
_IDS = uuid.UUID("6e1f4f63-3d0b-4d0e-8d57-3c8ea3b4ba15")


def made_id(tree: Tree) -> str:
    """Return the id of a resource that has none."""
    return str(uuid.uuid5(_IDS, exact_json.dump(tree)))


def resources(entries: list[Any]) -> Iterator[Tree | Finding | None]:
    """Yield the resource of each entry, None where it has none.

    A fullUrl that two have names neither: what is wrong is yielded for both, and for who names it.
    """
    by_url = {
        entry["fullUrl"]: entry["resource"]
        for entry in reversed(entries)
        if isinstance(entry, dict) and isinstance(entry.get("fullUrl"), str) and _is_resource(entry)
    }
    named = {
        url
        for entry in entries
        if isinstance(entry, dict)
        for spot in references(entry, "")
        if (url := _without_version(spot.literal or "")) in by_url
    }
    names = _Names({url: by_url[url] for url in named})
    shared = {
        full_url
        for entry in entries
        if isinstance(entry, dict)
        and (full_url := _full_url(entry)) is not None
        and _is_resource(entry)
        and entry["resource"] != by_url[full_url]
    }
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
            yield None
        elif shared and _full_url(entry) in shared:
            yield Finding("fullUrl", "is that of another entry too", "conflict")
        elif shared and (spot := next(_named_of(entry["resource"], shared), None)):
            yield Finding(spot.path, "is a fullUrl that two entries have", "conflict")
        else:
            yield names.applied(entry["resource"], entry.get("fullUrl"))


def _is_resource(entry: dict[str, Any]) -> bool:
    resource = entry.get("resource")
    return isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)


def _full_url(entry: dict[str, Any]) -> str | None:
    url = entry.get("fullUrl")
    return url if isinstance(url, str) else None


def _named_of(resource: Tree, urls: Collection[str]) -> Iterator[Spot]:
    return (spot for spot in references(resource, "resource") if _without_version(spot.literal or "") in urls)


def _without_version(reference: str) -> str:
    # A version of another server is none of ours.
    return reference.partition("/_history/")[0]


class _Names:
    """What those entries are called outside of their Bundle that others name."""

    def __init__(self, by_url: dict[str, Tree]) -> None:
        self._by_url = by_url
        self._types = {url: str(resource["resourceType"]) for url, resource in by_url.items()}
        # Where there is no id, of what it says, and of what those say whom it names; not further, for two
        # may name each other.
        contents = {url: made_id(_renamed(resource, self._types)) for url, resource in by_url.items()}
        self._ids = {
            url: resource["id"]
            if isinstance(resource.get("id"), str)
            else made_id(_renamed(resource, contents))
            for url, resource in by_url.items()
        }
        self._names = {url: f"{self._types[url]}/{self._ids[url]}" for url in by_url}

    def applied(self, resource: Tree, url: Any) -> Tree:
        """Return a resource with the names of others put in, and with an id where others need one."""
        tree = _renamed(resource, self._names) if self._names else resource
        is_named = isinstance(url, str) and self._by_url.get(url) is resource
        if is_named and "id" not in resource:
            return {"resourceType": resource["resourceType"], "id": self._ids[url], **tree}
        return tree


def _renamed(resource: Tree, names: Mapping[str, str]) -> Tree:
    tree: Tree = with_literals(resource, lambda named: names.get(_without_version(named), named))
    return tree
