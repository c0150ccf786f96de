"""A whole resource as a lens: its type, its narrative, and what of it no field reads."""

from collections.abc import Callable
from typing import Any

from fhir_mappings import narrative
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.lens.mapping import Field, Mapping, R, Unread, all_leaves


class ResourceMapping(Mapping[R]):
    """How one record class is said as one resource type."""

    def __init__(
        self,
        record: type[R],
        resource_type: str,
        fields: dict[str, Field],
        narrated: Callable[[R], narrative.Section] | None = None,
    ) -> None:
        """narrated: what a generated narrative tells, if the resource is to have one."""
        super().__init__(record, fields, start={"resourceType": resource_type})
        self.resource_type = resource_type
        self._narrated = narrated

    def read(self, node: Any, unread: Unread | None = None) -> R:
        """Return the record that a resource says.

        Raises MappingError, with the element's path, for what is not the structure of R4.
        """
        try:
            self._refuse_other_type(node)
            return self._reading(node, [] if unread is None else unread)
        except MappingError as error:
            raise error.under(self.resource_type) from None

    def write(self, value: R, onto: Tree | None = None) -> Tree:
        """Return a resource that says the record.

        onto: a resource to edit; only what reads otherwise is touched, and ``onto`` itself is
            returned if nothing does. None makes a new resource, with its narrative.
        Raises MappingError for what cannot be said, and for an edit under a modifier that
        is unknown here.
        """
        try:
            if onto is None:
                return self._narrate(value, super().write(value))
            self._refuse_other_type(onto)
            edited = self.overlay(value, onto)
        except MappingError as error:
            raise error.under(self.resource_type) from None
        if edited is not onto and narrative.is_generated(onto.get("text")):
            return self._narrate(value, edited)
        return edited

    def loss(self, tree: Tree) -> list[str]:
        """Return the path of every leaf that no field reads, in the resource's order."""
        read = set(self.leaves(tree, self.resource_type))
        return [leaf for leaf in all_leaves(tree, self.resource_type) if leaf not in read]

    def _narrate(self, value: R, tree: Tree) -> Tree:
        if self._narrated is None:
            return tree
        return {**tree, "text": narrative.generate(self._narrated(value))}

    def _refuse_other_type(self, node: Any) -> None:
        if not isinstance(node, dict) or node.get("resourceType") != self.resource_type:
            raise MappingError("resourceType", f"is not {self.resource_type}")
