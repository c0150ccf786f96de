"""Bundles of search results and of history, page by page."""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from fhir_mappings.exact_json import Tree
from service.sandbox.outcomes import FHIRError
from service.sandbox.store import Store, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one search or history found, kept for those who come back for the next page."""

    kind: str
    versions: tuple[Version, ...]
    count: int
    total: int | None
    self_url: str
    opened_at: datetime


class Listings:
    """Listings by an opaque token, until they expire."""

    def __init__(self, store: Store, expiry_seconds: float) -> None:
        self._store = store
        self._expiry = timedelta(seconds=expiry_seconds)
        self._open: dict[str, Listing] = {}
        self._lock = threading.Lock()

    def first_page(
        self, base: str, kind: str, versions: Sequence[Version], count: int, total: int | None, self_url: str
    ) -> Tree:
        listing = Listing(
            kind=kind,
            versions=tuple(versions),
            count=count,
            total=total,
            self_url=self_url,
            opened_at=self._store.now(),
        )
        token = secrets.token_hex(16)
        if len(versions) > count:
            with self._lock:
                self._forget_expired()
                self._open[token] = listing
        return self._page(base, token, listing, 0)

    def page(self, base: str, token: str, offset: int, count: int | None) -> Tree:
        with self._lock:
            self._forget_expired()
            listing = self._open.get(token)
        if listing is None:
            raise FHIRError(410, "This page does not exist or has expired", "expired")
        return self._page(base, token, replace(listing, count=count or listing.count), offset)

    def _forget_expired(self) -> None:
        oldest = self._store.now() - self._expiry
        self._open = {token: listing for token, listing in self._open.items() if listing.opened_at > oldest}

    def _page(self, base: str, token: str, listing: Listing, offset: int) -> Tree:
        end = offset + listing.count
        links = [{"relation": "self", "url": listing.self_url}]
        if end < len(listing.versions):
            links.append({"relation": "next", "url": _link(base, token, end, listing)})
        if offset:
            links.append(
                {"relation": "previous", "url": _link(base, token, max(0, offset - listing.count), listing)}
            )
        bundle: Tree = {
            "resourceType": "Bundle",
            "id": token,
            "meta": {"lastUpdated": self._store.now().isoformat(timespec="milliseconds")},
            "type": listing.kind,
        }
        if listing.total is not None:
            bundle["total"] = listing.total
        bundle["link"] = links
        entry = self._search_entry if listing.kind == "searchset" else history_entry
        entries = [entry(base, version) for version in listing.versions[offset:end]]
        if any(entries):
            bundle["entry"] = [found for found in entries if found]
        return bundle

    def _search_entry(self, base: str, version: Version) -> Tree | None:
        # The page is of the resources that were found, but shows each as it is by now.
        current = self._store.living(version.resource_type, version.id)
        if current is None:
            return None
        return {"fullUrl": f"{base}/{current.address}", "resource": current.tree, "search": {"mode": "match"}}


def _link(base: str, token: str, offset: int, listing: Listing) -> str:
    query = {
        "_getpages": token,
        "_getpagesoffset": offset,
        "_count": listing.count,
        "_bundletype": listing.kind,
    }
    return f"{base}?{urlencode(query)}"


def history_entry(base: str, version: Version) -> Tree:
    entry: Tree = {"fullUrl": f"{base}/{version.address}"}
    if version.tree is not None:
        entry["resource"] = version.tree
    statuses = {
        "POST": "201 Created",
        "PUT": "200 OK" if version.number > 1 else "201 Created",
        "DELETE": "200 OK",
    }
    entry["request"] = {"method": version.method, "url": version.versioned_address}
    entry["response"] = {
        "status": statuses[version.method],
        "lastModified": version.at.isoformat(timespec="milliseconds"),
        "etag": version.etag,
    }
    return entry
