"""How our records look to FHIR clients: their trees, with a version and a time that are ours."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from fhir_mappings.exact_json import Tree
from service.chart import Patient, RecordVersion


def shown(entry: RecordVersion) -> Tree:
    """Return the resource that a FHIR client sees: all that was posted, and our meta."""
    kept = entry.tree.get("meta", {})
    meta = {"versionId": str(entry.version), "lastUpdated": instant(entry.updated_at)}
    ours = {"resourceType": entry.resource_type, "id": entry.id}
    return {**ours, **entry.tree, "meta": {**kept, **meta}}


def patient_shown(patient: Patient) -> Tree:
    """Return what we know of a patient: what they are called."""
    shown: Tree = {"resourceType": "Patient", "id": patient.id}
    if patient.identifiers:
        shown["identifier"] = [{"system": system, "value": value} for system, value in patient.identifiers]
    if patient.merged_into:
        other = {"reference": f"Patient/{patient.merged_into}"}
        shown |= {"active": False, "link": [{"other": other, "type": "replaced-by"}]}
    return shown


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(at: datetime) -> str:
    """Return a time as HTTP says it, which is English whatever the locale."""
    return format_datetime(at.astimezone(UTC).replace(microsecond=0), usegmt=True)


def searchset(
    base: str, resources: Iterable[Tree], total: int | None, self_url: str, next_url: str | None
) -> Tree:
    """Return a page of a search."""
    links = [{"relation": "self", "url": self_url}]
    if next_url is not None:
        links.append({"relation": "next", "url": next_url})
    entries = [
        {"fullUrl": _url(base, resource), "resource": resource, "search": {"mode": "match"}}
        for resource in resources
    ]
    return _bundle("searchset", total, links, entries)


def history(base: str, entries: Sequence[RecordVersion], self_url: str) -> Tree:
    """Return the versions of one resource, newest first."""
    links = [{"relation": "self", "url": self_url}]
    return _bundle("history", len(entries), links, [_version(base, entry) for entry in entries])


def _version(base: str, entry: RecordVersion) -> Tree:
    resource = shown(entry)
    created = entry.version == 1
    return {
        "fullUrl": _url(base, resource),
        "resource": resource,
        "request": {
            "method": "POST" if created else "PUT",
            "url": entry.resource_type if created else f"{entry.resource_type}/{entry.id}",
        },
        "response": {
            "status": "201" if created else "200",
            "etag": f'W/"{entry.version}"',
            "lastModified": instant(entry.updated_at),
        },
    }


def _bundle(kind: str, total: int | None, links: list[Tree], entries: list[Tree]) -> Tree:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    # An empty array is not valid FHIR JSON.
    return {**bundle, "link": links, **({"entry": entries} if entries else {})}


def _url(base: str, resource: Tree) -> str:
    return f"{base}/{resource['resourceType']}/{resource['id']}"
