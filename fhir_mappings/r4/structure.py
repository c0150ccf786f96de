"""The walk of the guard over one resource: every element against its shape, all findings at once."""

import re
from collections.abc import Callable, Container
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.r4 import references
from fhir_mappings.r4.narrative import problems as narrative_problems
from fhir_mappings.r4.shapes import Member, Shape

_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_LINK_TYPES = frozenset({"uri", "url", "canonical"})


class Visit:
    """One resource being checked, with what it contains; findings gather in ``findings``."""

    def __init__(
        self, shape_of: Callable[[str], Shape], known: Container[str], findings: list[Finding]
    ) -> None:
        self._shape_of = shape_of
        self._known = known
        self.findings = findings
        self._references: list[tuple[str, dict[str, Any], Member, str]] = []
        self._local_links: set[str] = set()
        self._container = ""
        self._inside: str = ""

    def add(self, path: str, problem: str, code: str = "structure") -> None:
        self.findings.append(Finding(path, problem, code))

    def resource(self, tree: dict[str, Any], path: str | None = None) -> None:
        """Check a resource that stands for itself (not a contained one)."""
        name = self._resource_type(tree, path or "Resource")
        if name is None:
            return
        self._container = name
        contained = tree.get("contained")
        self._object(tree, self._shape_of(name), path or name)
        ids = self._contained(contained, f"{path or name}.contained") if isinstance(contained, list) else {}
        for where, reference, member, container in self._references:
            found = references.problem(reference, member.targets, ids, container, self._known)
            if found:
                self.add(f"{where}.{found[0]}", found[1], "value")

    def _resource_type(self, tree: Any, path: str) -> str | None:
        if not isinstance(tree, dict):
            self.add(path, "must be a JSON object: a resource")
            return None
        name = tree.get("resourceType")
        if name is None:
            self.add(f"{path}.resourceType", "is missing", "required")
        elif not isinstance(name, str) or name not in self._known:
            self.add(f"{path}.resourceType", "is not a type of resource of R4", "value")
        else:
            return name
        return None

    def _contained(self, contained: list[Any], path: str) -> dict[str, str]:
        ids: dict[str, str] = {}
        for index, resource in enumerate(contained):
            where = f"{path}[{index}]"
            if not isinstance(resource, dict) or (name := self._resource_type(resource, where)) is None:
                continue
            others, self._local_links = self._local_links, set()
            self._object(resource, self._shape_of(name), where)
            points_back = "#" in self._local_links
            others.update(self._local_links)
            self._local_links = others
            self._contained_rules(resource, where)
            own_id = resource.get("id")
            if not isinstance(own_id, str):
                self.add(
                    f"{where}.id", "is missing: a contained resource is known by its id alone", "required"
                )
            elif own_id in ids:
                self.add(f"{where}.id", "is the id of another contained resource too", "duplicate")
            else:
                ids[own_id] = name
            if points_back and isinstance(own_id, str):
                self._local_links.add(f"#{own_id}")
        for index, resource in enumerate(contained):
            own_id = resource.get("id") if isinstance(resource, dict) else None
            if isinstance(own_id, str) and f"#{own_id}" not in self._local_links:
                self.add(f"{path}[{index}]", "is contained, but nothing refers to it (dom-3)", "invariant")
        return ids

    def _contained_rules(self, resource: dict[str, Any], path: str) -> None:
        if "contained" in resource:
            self.add(f"{path}.contained", "is not allowed in a contained resource (dom-2)", "invariant")
        meta = resource.get("meta")
        for name, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
            if isinstance(meta, dict) and (name in meta or f"_{name}" in meta):
                self.add(
                    f"{path}.meta.{name}", f"is not allowed in a contained resource ({key})", "invariant"
                )

    def _object(self, node: dict[str, Any], shape: Shape, path: str) -> None:
        members = shape.members
        for key, value in node.items():
            member = members.get(key)
            if member is None:
                self._odd_member(node, key, value, shape, path)
            elif member.check is not None:
                self._primitive(node, key, value, member, path)
            else:
                self._complex(key, value, member, path)
        self._whole(node, shape, path)

    def _whole(self, node: dict[str, Any], shape: Shape, path: str) -> None:
        """What can only be said about an element once all its members are known."""
        if not node:
            self.add(path, "is empty (ele-1)", "invariant")
            return
        if len(node) == 1 and "id" in node and not shape.is_resource:
            self.add(path, "has an id and nothing else (ele-1)", "invariant")
        for name in shape.required:
            if name not in node and f"_{name}" not in node:
                self.add(f"{path}.{name}", "is required", "required")
        for stem, names, is_required in shape.choices:
            count = len({key.removeprefix("_") for key in node if key.removeprefix("_") in names})
            if count > 1:
                self.add(f"{path}.{stem}[x]", "is given in more than one type")
            elif not count and is_required:
                self.add(f"{path}.{stem}[x]", "is required", "required")
        for rule in shape.rules:
            self.findings.extend(rule(node, path))

    def _odd_member(self, node: dict[str, Any], key: str, value: Any, shape: Shape, path: str) -> None:
        if key == "resourceType" and shape.is_resource:
            return
        member = shape.members.get(key[1:]) if key.startswith("_") else None
        if member is not None and member.has_sibling:
            self._sibling(node, key, value, member, path)
        elif shape.is_open:
            self._any(value, f"{path}.{key}")
        elif _NAME.fullmatch(key):
            self.add(f"{path}.{key}", "is not an element of R4")
        else:
            self.add(path, "has a member whose name is not that of any element of R4")

    def _complex(self, key: str, value: Any, member: Member, path: str) -> None:
        path = f"{path}.{key}"
        if not member.many:
            self._item(value, member, path)
        elif not isinstance(value, list):
            self.add(path, "must be a JSON array")
        elif not value:
            self.add(path, "is an empty array")
        else:
            for index, item in enumerate(value):
                self._item(item, member, f"{path}[{index}]")

    def _item(self, item: Any, member: Member, path: str) -> None:
        if not isinstance(item, dict):
            self.add(path, "must be a JSON object")
        elif member.type_name == "Resource":
            # What is contained is checked with its container, which knows who refers to it.
            if not path.rpartition(".")[2].startswith("contained["):
                Visit(self._shape_of, self._known, self.findings).resource(item, path)
        else:
            if member.type_name == "Reference":
                self._note_reference(item, member, path)
            self._object(item, self._shape_of(member.type_name), path)

    def _note_reference(self, item: dict[str, Any], member: Member, path: str) -> None:
        literal = item.get("reference")
        if isinstance(literal, str) and literal.startswith("#"):
            self._local_links.add(literal)
        if "reference" in item or "type" in item:
            self._references.append((path, item, member, self._container))

    def _primitive(self, node: dict[str, Any], key: str, value: Any, member: Member, path: str) -> None:
        if not member.many:
            self._value(value, member, path, key)
        elif not isinstance(value, list):
            self.add(f"{path}.{key}", "must be a JSON array")
        elif not value:
            self.add(f"{path}.{key}", "is an empty array")
        else:
            siblings = node.get(f"_{key}")
            for index, item in enumerate(value):
                if item is not None:
                    self._value(item, member, path, f"{key}[{index}]")
                elif not (
                    isinstance(siblings, list) and index < len(siblings) and siblings[index] is not None
                ):
                    self.add(
                        f"{path}.{key}[{index}]", "is null, and nothing stands for it in its sibling array"
                    )

    def _value(self, value: Any, member: Member, path: str, name: str) -> None:
        if member.type_name == "xhtml":
            self._narrative(value, f"{path}.{name}")
            return
        problem = member.check(value) if member.check else None
        if problem:
            self.add(f"{path}.{name}", "must not be null" if value is None else problem, "value")
        elif member.codes is not None and value not in member.codes:
            self.add(f"{path}.{name}", "is not one of the codes that R4 allows here", "code-invalid")
        elif member.type_name in _LINK_TYPES and value.startswith("#"):
            self._local_links.add(value)

    def _narrative(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            self.add(path, "must be a JSON string", "value")
            return
        for problem in narrative_problems(value):
            self.add(path, problem, "invariant")

    def _sibling(self, node: dict[str, Any], key: str, value: Any, member: Member, path: str) -> None:
        name = key[1:]
        path = f"{path}.{name}"
        if not member.many:
            self._sibling_item(value, path, has_value=name in node)
            return
        if not isinstance(value, list) or not value:
            self.add(path, "must have a JSON array that is not empty as its sibling")
            return
        values = node.get(name)
        beside = values if isinstance(values, list) else []
        for index, item in enumerate(value):
            has_value = index < len(beside) and beside[index] is not None
            if item is not None:
                self._sibling_item(item, f"{path}[{index}]", has_value=has_value)
            elif not has_value and index >= len(beside):
                self.add(f"{path}[{index}]", "is null, and no value stands for it")

    def _sibling_item(self, item: Any, path: str, *, has_value: bool) -> None:
        if not isinstance(item, dict):
            self.add(path, "must have a JSON object as its sibling")
            return
        if has_value and len(item) == 1 and "id" in item:
            if not isinstance(item["id"], str) or not item["id"]:
                self.add(f"{path}.id", "must be a JSON string that is not empty", "value")
            return
        self._object(item, self._shape_of("Element"), path)

    def _any(self, value: Any, path: str) -> None:
        """JSON of a type without a definition: only what holds for any FHIR JSON."""
        if isinstance(value, dict):
            if not value:
                self.add(path, "is empty (ele-1)", "invariant")
            if isinstance(value.get("reference"), str) and value["reference"].startswith("#"):
                self._local_links.add(value["reference"])
            for key, member in value.items():
                self._any(member, f"{path}.{key}" if _NAME.fullmatch(key) else path)
        elif isinstance(value, list):
            if not value:
                self.add(path, "is an empty array")
            for index, item in enumerate(value):
                if item is not None:
                    self._any(item, f"{path}[{index}]")
        elif value is None:
            self.add(path, "must not be null", "value")
        elif value == "":
            self.add(path, "must not be empty", "value")
