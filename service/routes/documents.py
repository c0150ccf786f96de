"""The OpenAPI document, and pages to read it that need nothing from elsewhere: hospitals are offline."""

from flask import Response, current_app, render_template

from service.routes.blueprint import ApiBlueprint
from service.routes.openapi import as_yaml

blueprint = ApiBlueprint(
    "documents",
    __name__,
    template_folder="templates",
    description="This document, for programs and for people.",
)


@blueprint.route("/openapi.yaml")
@blueprint.response(200, {"type": "object"}, content_type="application/yaml")
def openapi() -> Response:
    """Return this document"""
    return Response(as_yaml(current_app.extensions["openapi"]), content_type="application/yaml")


@blueprint.route("/docs")
@blueprint.response(200, {"type": "string"}, content_type="text/html")
def docs() -> Response:
    """Show this document as a page"""
    page = Response(render_template("docs.html", api=current_app.extensions["openapi"]))
    page.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return page
