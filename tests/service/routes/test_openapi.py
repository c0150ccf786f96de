"""openapi.yaml says what the routes are, and is what the service serves."""

import re
from typing import Any

import pytest
import yaml
from flask import Flask

from fhir_mappings.exact_json import Tree
from service.openapi import PATH
from service.routes.openapi import as_yaml
from tests.service.routes.caller import Api


@pytest.fixture
def document(app: Flask) -> Tree:
    described: Tree = app.extensions["openapi"]
    return described


def test_the_committed_document_is_the_one_that_the_routes_make(document: Tree) -> None:
    assert PATH.read_text(encoding="utf-8") == as_yaml(document), "run: python -m service.openapi"
    assert yaml.safe_load(PATH.read_text(encoding="utf-8")) == document


def test_every_route_is_documented_and_every_documented_route_exists(app: Flask, document: Tree) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (path, method)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert routes == described


def test_every_operation_documents_what_it_answers_and_who_may_call_it(document: Tree) -> None:
    ids = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert any(status.startswith("2") for status in operation["responses"]), (path, method)
            for required in operation["security"]:
                assert {"401", "403", "400", "503"} <= operation["responses"].keys(), (path, method)
                assert list(required) == ["bearer"]
    assert len(ids) == len(set(ids))


def test_every_reference_in_the_document_leads_somewhere(document: Tree) -> None:
    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                target = document
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            for member in node.values():
                follow(member)
        elif isinstance(node, list):
            for member in node:
                follow(member)

    follow(document)


def test_the_document_and_its_page_need_nothing_from_elsewhere(api: Api) -> None:
    assert yaml.safe_load(api.get("/openapi.yaml").text)["openapi"].startswith("3.1")
    page = api.get("/docs")
    assert "/api/v1/goals" in page.text
    assert not re.search(r"(src|href)=.(https?:)?//", page.text)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
