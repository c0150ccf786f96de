"""Ways of real servers, as hooks for the sandbox: honest, and not what a client hoped for."""

from collections.abc import Callable

import requests
from flask import Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree

FHIR = "application/fhir+json"

#: What a CapabilityStatement is not to offer, so that records go in one way or another.
FULL: set[str] = set()
BATCH = {"transaction", "conditionalCreate"}
SINGLE = {"transaction", "batch", "conditionalCreate"}
WAYS = {"transaction": FULL, "batch": BATCH, "single": SINGLE}

After = Callable[[Request, Response], Response | None]
Before = Callable[[Request], Response | None]


def outcome(status: int, diagnostics: str = "no") -> Response:
    """An OperationOutcome, as a FHIR server refuses with it."""
    issue = [{"severity": "error", "code": "processing", "diagnostics": diagnostics}]
    tree = {"resourceType": "OperationOutcome", "issue": issue}
    return Response(exact_json.dump(tree), status, content_type=FHIR)


def rewritten(response: Response, change: Callable[[Tree], Tree]) -> Response:
    """The same answer with another body."""
    if response.mimetype == FHIR:
        response.set_data(exact_json.dump(change(exact_json.parse(response.get_data()))))
    return response


def is_bundle(request: Request) -> bool:
    return request.method == "POST" and request.path.rstrip("/").endswith("/fhir")


def is_ours(request: Request) -> bool:
    """Whether the client asks, and not somebody who looks or writes by hand."""
    return "Prefer" in request.headers or "Cache-Control" in request.headers


def says_stored(request: Request, response: Response) -> Response | None:
    """Answers a write with "stored" and nothing else, whatever Prefer asks for."""
    if "Prefer" not in request.headers or response.status_code >= 300:
        return None
    issue = [{"severity": "information", "code": "informational", "diagnostics": "stored"}]
    stored = {"resourceType": "OperationOutcome", "issue": issue}
    if is_bundle(request):
        return rewritten(
            response,
            lambda bundle: {**bundle, "entry": [{**one, "resource": stored} for one in bundle["entry"]]},
        )
    return rewritten(response, lambda _: stored)


def without_versions(_: Request, response: Response) -> Response:
    """Keeps no versions: no ETag, no versionId, in no answer."""
    response.headers.pop("ETag", None)
    for name in ("Location", "Content-Location"):
        if name in response.headers:
            response.headers[name] = response.headers[name].partition("/_history")[0]
    return rewritten(response, _without_versions)


def _without_versions(node: Tree) -> Tree:
    def bare(value: object) -> object:
        if isinstance(value, list):
            return [bare(one) for one in value]
        return _without_versions(value) if isinstance(value, dict) else value

    kept = {name: bare(value) for name, value in node.items() if name not in ("versionId", "etag")}
    if isinstance(kept.get("location"), str):
        kept["location"] = str(kept["location"]).partition("/_history")[0]
    return kept


def one_value_only(name: str) -> Before:
    """Takes one value in a search parameter, and says so."""

    def refuse(request: Request) -> Response | None:
        return outcome(400, f"{name}: one value only") if "," in request.args.get(name, "") else None

    return refuse


def first_value_only(name: str) -> Before:
    """Takes the first value of a search parameter for all of them, and says nothing."""

    def answer(request: Request) -> Response | None:
        first, comma, _ = request.args.get(name, "").partition(",")
        if not comma:
            return None
        args = {**request.args, name: first}
        found = requests.get(request.base_url, params=args, timeout=20)
        return Response(found.content, found.status_code, content_type=FHIR)

    return answer
