"""The RESTful interface: URLs to interactions."""

from flask import Blueprint, Response, request

from service.sandbox import bundles, resources
from service.sandbox.capability import capability_statement
from service.sandbox.outcomes import FHIRError
from service.sandbox.reads import Reading
from service.sandbox.replies import body_of, created_reply, reply, version_reply, written_reply
from service.sandbox.search.query import Pairs
from service.sandbox.store import Store
from service.sandbox.structure import require_known_type


def fhir_routes(store: Store, reading: Reading) -> Blueprint:
    """The views, over one store."""
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")

    @routes.get("/metadata")
    def metadata() -> Response:
        return reply(capability_statement(_base(), store.now()))

    @routes.get("/")
    @routes.get("")
    def page() -> Response:
        shape = dict(_query())
        if "_getpages" not in shape:
            raise FHIRError(400, "Invalid request: a resource type or _getpages is needed")
        return reply(reading.page(_base(), shape))

    @routes.post("/")
    @routes.post("")
    def bundle() -> Response:
        representation = "return=representation" in _prefer()
        base = _base()
        return reply(
            bundles.process(store, body_of(request), lambda url: reading.get(base, url), representation)
        )

    @routes.get("/_history")
    def system_history() -> Response:
        return reply(reading.history(_base(), _query()))

    @routes.get("/<kind>")
    def search(kind: str) -> Response:
        require_known_type(kind)
        return reply(reading.search(_base(), kind, _query()))

    @routes.post("/<kind>/_search")
    def post_search(kind: str) -> Response:
        require_known_type(kind)
        return reply(reading.search(_base(), kind, _query() + list(request.form.items(multi=True))))

    @routes.get("/<kind>/_history")
    def type_history(kind: str) -> Response:
        require_known_type(kind)
        return reply(reading.history(_base(), _query(), kind))

    @routes.get("/<kind>/<resource_id>/_history")
    def instance_history(kind: str, resource_id: str) -> Response:
        require_known_type(kind)
        return reply(reading.history(_base(), _query(), kind, resource_id))

    @routes.get("/<kind>/<resource_id>")
    def read(kind: str, resource_id: str) -> Response:
        require_known_type(kind)
        version = resources.read(store, (kind, resource_id))
        if request.headers.get("If-None-Match") == version.etag:
            return Response(status=304, headers={"ETag": version.etag})
        return version_reply(_base(), version)

    @routes.get("/<kind>/<resource_id>/_history/<number>")
    def vread(kind: str, resource_id: str, number: str) -> Response:
        require_known_type(kind)
        return version_reply(_base(), resources.vread(store, (kind, resource_id), number))

    @routes.post("/<kind>")
    def create(kind: str) -> Response:
        require_known_type(kind)
        done = resources.create(store, kind, body_of(request), request.headers.get("If-None-Exist"))
        return created_reply(_base(), done, _prefer())

    @routes.put("/<kind>/<resource_id>")
    def update(kind: str, resource_id: str) -> Response:
        require_known_type(kind)
        done = resources.update(store, (kind, resource_id), body_of(request), request.headers.get("If-Match"))
        return written_reply(_base(), done, _prefer())

    @routes.put("/<kind>")
    def update_where(kind: str) -> Response:
        require_known_type(kind)
        done = resources.update_where(store, kind, body_of(request), request.query_string.decode())
        return written_reply(_base(), done, _prefer())

    @routes.delete("/<kind>/<resource_id>")
    def delete(kind: str, resource_id: str) -> Response:
        require_known_type(kind)
        return written_reply(_base(), resources.delete(store, (kind, resource_id)), _prefer())

    @routes.delete("/<kind>")
    def delete_where(kind: str) -> Response:
        require_known_type(kind)
        return written_reply(
            _base(), resources.delete_where(store, kind, request.query_string.decode()), _prefer()
        )

    return routes


def _base() -> str:
    return f"{request.host_url}fhir"


def _query() -> Pairs:
    return list(request.args.items(multi=True))


def _prefer() -> str:
    return request.headers.get("Prefer", "")
