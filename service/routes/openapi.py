"""The OpenAPI document, made from the routes."""

import json
import re
from collections.abc import Iterator
from typing import Any

from apispec import APISpec

from service import record_types
from service.auth.scopes import SYNC
from service.schemas.strict import OneKey

INFO = {
    "description": "Self-management support in back pain care: goals, plans, activities and answers, "
    "as records (`/api/v1`) and as FHIR R4 (`/fhir`). Errors are FHIR OperationOutcomes."
}
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A JWT of the configured issuer. Its `scope` claim holds SMART scopes such as "
    f"`system/*.cruds`, `user/Goal.rs` or `patient/*.read`, and `{SYNC}` for the synchronisation, which "
    "shows and changes what a record says to those alone whose scopes allow that; "
    "a `patient` claim confines it to that patient. Where no issuer is configured, the server listens "
    "on loopback only and asks for none.",
}
_TYPES_OF_PATHS = {"patients": "Patient", **{one.path: one.resource_type for one in record_types.ALL}}
_PUBLIC_PATHS = frozenset({"/fhir/metadata", "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/docs"})
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]+")


def complete(spec: APISpec) -> dict[str, Any]:
    """Return the whole document: what the routes say, and who may call each."""
    said: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    document = {name: said[name] for name in ("openapi", "info", "tags", "paths", "components")}
    for unused in ("Error", "PaginationMetadata"):
        document["components"]["schemas"].pop(unused, None)
    document["components"].setdefault("securitySchemes", {})["bearer"] = _SCHEME
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                for parameter in operation.get("parameters", []):
                    # A parameter that is not given has no value; null cannot be said in a query.
                    if parameter["schema"].get("default", "") is None:
                        del parameter["schema"]["default"]
                scopes = _scopes(path, method)
                operation["security"] = [] if path in _PUBLIC_PATHS else [{"bearer": scopes}]
                operation["operationId"] = _operation_id(method, path)
    return document


def choice2properties(converter: Any, field: Any, ret: Any = None, **_: Any) -> dict[str, Any]:  # noqa: ARG001
    """Describe a Choice: an object with one key, the FHIR type, and a value of that type."""
    if not isinstance(field, OneKey):
        return {}
    options = {name: converter.field2property(option) for name, option in field.options.items()}
    described = {"minProperties": 1, "maxProperties": 1, "properties": options, "additionalProperties": False}
    return {"type": ["object", "null"] if field.allow_none else "object", **described}


def _operation_id(method: str, path: str) -> str:
    words = _NOT_ALPHANUMERIC.sub(" ", path.removeprefix("/api/v1")).split()
    return "_".join([method, *words])


def _scopes(path: str, method: str) -> list[str]:
    """Return the smallest scope that allows an operation."""
    parts = path.strip("/").split("/")
    if path in _PUBLIC_PATHS or parts[-1] == "translate":
        return []
    resource_type = parts[1] if parts[0] == "fhir" else _TYPES_OF_PATHS.get(parts[2])
    if "{conflict_id}" in parts:
        # Both sides are the record; which type it is, only the conflict says.
        return [SYNC, "system/*.r" if method == "get" else "system/*.ru"]
    if resource_type is None:
        return [SYNC]
    if parts[-1] == "_search":
        return [f"system/{resource_type}.s"]
    one = any(part.startswith("{") for part in parts)
    letter = {"get": "r" if one else "s", "post": "u" if one else "c", "put": "u"}[method]
    return [f"system/{resource_type}.{letter}"]


def as_yaml(document: dict[str, Any]) -> str:
    """Print a document as YAML; strings are quoted as JSON, which YAML reads alike."""
    return "\n".join(_lines(document)) + "\n"


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|/[A-Za-z0-9_/{}.-]*")


def _lines(value: Any) -> Iterator[str]:
    """Yield the lines of a collection that is not empty."""
    pairs: list[tuple[str, Any]]
    if isinstance(value, dict):
        pairs = [
            (f"{key if _PLAIN.fullmatch(key) else json.dumps(key)}:", member) for key, member in value.items()
        ]
    else:
        pairs = [("-", member) for member in value]
    for start, member in pairs:
        if not isinstance(member, dict | list) or not member:
            yield f"{start} {json.dumps(member, ensure_ascii=False)}"
            continue
        inner = [f"  {line}" for line in _lines(member)]
        if start == "-":
            # The first line of an item stands beside its dash.
            yield f"- {inner[0][2:]}"
            yield from inner[1:]
        else:
            yield start
            yield from inner
