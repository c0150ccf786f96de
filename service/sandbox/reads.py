"""Everything that only reads: single resources, histories, searches, pages."""

from urllib.parse import parse_qsl, urlencode

from fhir_mappings.exact_json import Tree
from service.sandbox import resources
from service.sandbox.listings import Listings
from service.sandbox.outcomes import FHIRError
from service.sandbox.search import query
from service.sandbox.search.matching import date
from service.sandbox.search.query import Pairs, find, parse
from service.sandbox.store import Store, Version
from service.sandbox.structure import require_known_type


class Reading:
    """The reading interactions over one store."""

    def __init__(self, store: Store, listings: Listings) -> None:
        self._store = store
        self._listings = listings

    def get(self, base: str, url: str) -> Tree:
        """Answer the relative URL of a bundle's GET entry."""
        path, _, query = url.partition("?")
        parts = path.strip("/").split("/")
        pairs = parse_qsl(query, keep_blank_values=True)
        require_known_type(parts[0])
        match parts:
            case [kind]:
                return self.search(base, kind, pairs)
            case [kind, "_history"]:
                return self.history(base, pairs, kind)
            case [kind, resource_id]:
                return resources.read(self._store, (kind, resource_id)).content
            case [kind, resource_id, "_history"]:
                return self.history(base, pairs, kind, resource_id)
            case [kind, resource_id, "_history", number]:
                return resources.vread(self._store, (kind, resource_id), number).content
        raise FHIRError(400, "Invalid request: no such GET interaction", "not-supported")

    def search(self, base: str, resource_type: str, pairs: Pairs) -> Tree:
        query = parse(resource_type, pairs)
        with self._store.atomic():
            found = find(self._store, query)
        self_url = _url(f"{base}/{resource_type}", pairs)
        if query.only_total:
            links = [{"relation": "self", "url": self_url}]
            return {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
        # The number is told only where it is known without more work: there is no further page.
        told = query.exact_total or len(found) <= query.count
        return self._listings.first_page(
            base, "searchset", found, query.count, len(found) if told else None, self_url
        )

    def history(
        self, base: str, pairs: Pairs, resource_type: str | None = None, resource_id: str | None = None
    ) -> Tree:
        shape = dict(pairs)
        versions = self._versions(resource_type, resource_id)
        since = shape.get("_since")
        if since:
            is_since = date([f"ge{since}"], None)
            versions = [version for version in versions if is_since([version.at.isoformat()])]
        total = None if since else len(versions)
        parts = [part for part in (base, resource_type, resource_id, "_history") if part]
        return self._listings.first_page(
            base, "history", versions, query.count_of(shape), total, _url("/".join(parts), pairs)
        )

    def _versions(self, resource_type: str | None, resource_id: str | None) -> list[Version]:
        if resource_type is None or resource_id is None:
            return self._store.log(resource_type)
        versions = self._store.versions(resource_type, resource_id)
        if not versions:
            raise FHIRError(404, f"Resource {resource_type}/{resource_id} is not known", "not-found")
        return list(reversed(versions))

    def page(self, base: str, shape: dict[str, str]) -> Tree:
        """The page behind a `next` link."""
        offset, count = shape.get("_getpagesoffset", "0"), shape.get("_count", "")
        if not offset.isdecimal() or (count and not count.isdecimal()):
            raise FHIRError(400, "Invalid page offset or _count")
        return self._listings.page(base, shape["_getpages"], int(offset), int(count) if count else None)


def _url(address: str, pairs: Pairs) -> str:
    return f"{address}?{urlencode(pairs)}" if pairs else address
