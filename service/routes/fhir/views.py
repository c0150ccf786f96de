"""Our FHIR R4 face: the same records, for FHIR clients and pipelines (https://hl7.org/fhir/R4/http.html).

An update has to name the version that it changes, by If-Match or else by ``meta.versionId`` in the
body, which a client sends back that read it before. With neither it is refused (428): a blind PUT
would overwrite what somebody else has written.
"""

from collections.abc import Iterable

from flask import Response, request
from flask.views import MethodView

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.chart import RecordVersion
from service.chart.queries import RecordQuery
from service.errors import InvalidInput, NotFound, PreconditionRequired
from service.routes import access, addresses, openapi_parts
from service.routes.blueprint import ApiBlueprint
from service.routes.fhir import openapi_parts as documented
from service.routes.fhir import representation, search
from service.routes.fhir.capabilities import statement
from service.routes.fhir.parsing import posted, references_as_ours, require_json, search_form
from service.routes.idempotency import created_once
from service.routes.parsing import if_match
from service.routes.responses import FHIR_JSON, answer, etag, next_url
from service.routes.services import chart, principal, services

RESOURCE_TYPES = tuple(type_ for type_ in search.PARAMETERS if type_ != "Patient")

blueprint = ApiBlueprint(
    "fhir", __name__, url_prefix=addresses.FHIR, description="FHIR R4, for FHIR clients."
)
blueprint.before_request(require_json)


def _base() -> str:
    return addresses.absolute(addresses.FHIR)


def _fhir(tree: Tree, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(tree, status, headers, FHIR_JSON)


def _one(entry: RecordVersion, status: int = 200) -> Response:
    headers = {"ETag": etag(entry.version), "Last-Modified": representation.http_date(entry.updated_at)}
    if status == 201:
        headers["Location"] = f"{_base()}/{entry.resource_type}/{entry.id}/_history/{entry.version}"
    return _fhir(representation.shown(entry), status, headers)


@blueprint.route("/metadata")
@blueprint.response(200, documented.resource("CapabilityStatement"), content_type=FHIR_JSON)
@blueprint.alt_response(406, "Refused406")
def metadata() -> Response:
    """Tell what a FHIR client can do here"""
    return _fhir(statement(_base(), services().clock(), secured=services().verifier is not None))


def _search(resource_type: str, given: Iterable[tuple[str, str]]) -> Response:
    principal().require(resource_type, "s")
    query = search.read(resource_type, references_as_ours(given))
    resources, total, next_after = _found(query)
    more = next_after is not None and not query.is_count_only
    following = addresses.absolute(next_url(_after=next_after or "")) if more else None
    shown = [] if query.is_count_only else resources
    return _fhir(representation.searchset(_base(), shown, total, addresses.of_this_request(), following))


def _found(query: RecordQuery) -> tuple[list[Tree], int, str | None]:
    """Return a page of resources, how many there are in all, and where the next page begins."""
    if query.resource_type == "Patient":
        patients = access.patients(query.ids, query.identifier, query.limit, query.after)
        shown = [representation.patient_shown(patient) for patient in patients.entries]
        return shown, patients.total, patients.next_after
    records = access.records(query)
    return [representation.shown(entry) for entry in records.entries], records.total, records.next_after


def _searchable(resource_type: str) -> None:
    """Add the search of one resource type, as GET and as POST."""

    @blueprint.route(f"/{resource_type}/_search", methods=["POST"], endpoint=f"{resource_type}_post_search")
    @blueprint.response(200, documented.resource("Bundle"), **documented.FOUND)
    @blueprint.refuses(406, 413, 415)
    @blueprint.doc(requestBody=documented.form(resource_type))
    def post_search() -> Response:
        """Search by a form: values stay out of URLs and their logs"""
        return _search(resource_type, search_form())


def _registered(resource_type: str) -> None:
    """Add the routes of one resource type."""

    @blueprint.route(f"/{resource_type}", endpoint=resource_type)
    class Type(MethodView):
        @blueprint.response(200, documented.resource("Bundle"), **documented.FOUND)
        @blueprint.refuses(406)
        @blueprint.doc(parameters=documented.queries(resource_type))
        def get(self) -> Response:
            """Search"""
            return _search(resource_type, request.args.items(multi=True))

        @blueprint.response(201, documented.resource(resource_type), **documented.CREATED)
        @blueprint.refuses(406, 409, 413, 415, 422)
        @blueprint.doc(requestBody=documented.body(resource_type), parameters=[openapi_parts.IDEMPOTENCY_KEY])
        def post(self) -> Response:
            """Create a resource; its id is given here"""
            principal().require(resource_type, "c")
            _refuse_condition()
            tree = posted(resource_type)
            access.confine(tree)
            return created_once(tree, lambda entry: _one(entry, 201))

    @blueprint.route(f"/{resource_type}/<fhir_id:record_id>", endpoint=f"{resource_type}_instance")
    class Instance(MethodView):
        @blueprint.response(200, documented.resource(resource_type), **documented.READ)
        @blueprint.refuses(404, 406)
        def get(self, record_id: str) -> Response:
            """Read"""
            return _one(access.entry(resource_type, record_id))

        @blueprint.response(200, documented.resource(resource_type), **documented.READ)
        @blueprint.refuses(404, 406, 409, 412, 413, 415, 422, 428)
        @blueprint.doc(
            requestBody=documented.body(resource_type), parameters=[openapi_parts.IF_MATCH_OPTIONAL]
        )
        def put(self, record_id: str) -> Response:
            """Update the version that If-Match names, or else `meta.versionId` in the body"""
            current = access.entry(resource_type, record_id, "u")
            tree = posted(resource_type)
            if tree.get("id") != record_id:
                raise InvalidInput(openapi_parts.other_id(resource_type))
            version = _version(tree)
            access.confine(tree, current.tree)
            return _one(chart().replace(record_id, tree, principal().actor, if_version=version))

    @blueprint.route(f"/{resource_type}/<fhir_id:record_id>/_history", endpoint=f"{resource_type}_history")
    @blueprint.response(200, documented.resource("Bundle"), **documented.FOUND)
    @blueprint.refuses(404, 406)
    def history(record_id: str) -> Response:
        """List all versions, newest first"""
        access.entry(resource_type, record_id)
        entries = chart().history(resource_type, record_id)
        return _fhir(representation.history(_base(), entries, addresses.of_this_request()))

    @blueprint.route(
        f"/{resource_type}/<fhir_id:record_id>/_history/<fhir_id:version_id>",
        endpoint=f"{resource_type}_version",
    )
    @blueprint.response(200, documented.resource(resource_type), **documented.READ)
    @blueprint.refuses(404, 406)
    def vread(record_id: str, version_id: str) -> Response:
        """Read one version"""
        access.entry(resource_type, record_id)
        if not version_id.isascii() or not version_id.isdigit() or len(version_id) > 9:
            raise NotFound("there is no such version")
        return _one(chart().version(resource_type, record_id, int(version_id)))


def _refuse_condition() -> None:
    """Raise InvalidInput for a conditional create: to create without its condition could double."""
    if "If-None-Exist" in request.headers:
        problem = "conditional create is not supported here; an Idempotency-Key makes a create safe to repeat"
        raise InvalidInput(Finding("If-None-Exist", problem, "not-supported"))


def _version(tree: Tree) -> int:
    """Return the version that an update names. Raises PreconditionRequired."""
    version = if_match(required=False)
    if version is not None:
        return version
    meta = tree.get("meta")
    named = meta.get("versionId") if isinstance(meta, dict) else None
    if isinstance(named, str) and named.isascii() and named.isdigit() and len(named) <= 9:
        return int(named)
    raise PreconditionRequired("name the version that you changed: If-Match, or meta.versionId in the body")


@blueprint.route("/Patient")
@blueprint.response(200, documented.resource("Bundle"), **documented.FOUND)
@blueprint.refuses(406)
@blueprint.doc(parameters=documented.queries("Patient"))
def search_patients() -> Response:
    """Search patients by identifier"""
    return _search("Patient", request.args.items(multi=True))


@blueprint.route("/Patient/<fhir_id:patient_id>")
@blueprint.response(200, documented.resource("Patient"), **documented.FOUND)
@blueprint.refuses(404, 406)
def read_patient(patient_id: str) -> Response:
    """Read a patient: what they are called, nothing else is kept here"""
    return _fhir(representation.patient_shown(access.patient(patient_id)))


for _type in RESOURCE_TYPES:
    _registered(_type)
for _type in search.PARAMETERS:
    _searchable(_type)
