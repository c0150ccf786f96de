"""Connections by HTTP: where the operator allowed, under the rule of all doors, and telling no secret."""

import pytest
from sqlalchemy import update

from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.config import Config
from service.store.database import Database
from service.store.tables import Connection
from tests.clock import Clock
from tests.service.cli.running import mainstay
from tests.service.routes.caller import Api

BODY = {"name": "clinic", "base_url": "http://127.0.0.1:9/fhir"}


@pytest.fixture
def allowing(database: Database, clock: Clock) -> Api:
    """A caller of a service whose operator opened one address."""
    config = Config(connection_allowed_urls=("http://127.0.0.1:9/fhir",))
    return Api(create_app(config, database=database, clock=clock))


def test_without_the_setting_nothing_is_added_and_the_answer_names_it(api: Api) -> None:
    refused = api.post("/api/v1/connections", BODY)
    assert (refused.status, refused.paths) == (403, ["base_url"])
    assert "MAINSTAY_CONNECTION_ALLOWED_URLS" in refused.text
    assert api.get("/api/v1/connections").json["items"] == []


def test_what_the_operator_allowed_is_added_and_nothing_beside_it(allowing: Api) -> None:
    for url in (
        "http://127.0.0.1:9/fhirs",
        "http://127.0.0.1:9",
        "http://127.0.0.1:10/fhir",
        "http://[::1]:9/fhir",
    ):
        assert allowing.post("/api/v1/connections", {**BODY, "base_url": url}).status == 403, url
    assert allowing.post("/api/v1/connections", BODY).status == 201
    below = {"name": "ward", "base_url": f"{BODY['base_url']}/ward"}
    assert allowing.post("/api/v1/connections", below).status == 201
    again = {"name": "again", "base_url": "HTTP://127.0.0.1:9/fhir/"}
    assert allowing.post("/api/v1/connections", again).status == 409
    assert [one["name"] for one in allowing.get("/api/v1/connections").json["items"]] == ["clinic", "ward"]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"name": "default"}, "name"),
        ({"name": "Clinic"}, "name"),
        ({"base_url": "http://nurse:seeded@127.0.0.1:9/fhir"}, "base_url"),
        ({"base_url": "http://127.0.0.1:9/fhir/../admin"}, "base_url"),
        ({"base_url": 7}, "base_url"),
    ],
)
def test_what_no_connection_can_be_is_refused_by_field_and_not_repeated(
    allowing: Api, changed: Tree, path: str
) -> None:
    refused = allowing.post("/api/v1/connections", BODY | changed)
    assert refused.status in (400, 422)
    assert refused.paths == [path]
    assert "seeded" not in refused.text


@pytest.mark.parametrize(
    ("name", "base_url"),
    [
        ("default", "http://127.0.0.1:9/fhir"),
        ("Clinic", "http://127.0.0.1:9/fhir"),
        ("clinic", "http://127.0.0.1:9//fhir"),
        ("clinic", "http://127.0.0.1:9/fhir#x"),
        ("clinic", "http://:seeded@127.0.0.1:9/fhir"),
    ],
)
def test_the_command_line_has_the_same_rule(database: Database, name: str, base_url: str) -> None:
    env = {"MAINSTAY_DATABASE_URL": str(database.url)}
    ended = mainstay("connection", "add", name, base_url, env=env)
    assert ended.code == 2
    assert "seeded" not in ended.err
    assert mainstay("connection", "list", "--json", env=env).lines == []


def test_the_command_line_is_the_operator_and_the_settings_may_say_default(database: Database) -> None:
    env = {"MAINSTAY_DATABASE_URL": str(database.url)}
    assert mainstay("connection", "add", "clinic", "http://127.0.0.1:9/fhir", env=env).code == 0
    declared = {**env, "MAINSTAY_FHIR_BASE_URL": "http://127.0.0.1:9/other"}
    names = [line["name"] for line in mainstay("connection", "list", "--json", env=declared).lines]
    assert names == ["clinic", "default"]


def test_a_password_that_an_older_version_took_is_shown_nowhere(api: Api, database: Database) -> None:
    api_of = {"MAINSTAY_DATABASE_URL": str(database.url)}
    assert mainstay("connection", "add", "clinic", "http://127.0.0.1:9/fhir", env=api_of).code == 0
    with database.begin() as session:
        session.execute(update(Connection).values(base_url="http://nurse:seeded@127.0.0.1:9/fhir"))
    for shown in (
        api.get("/api/v1/connections").text,
        api.get("/api/v1/connections/clinic").text,
        api.post("/api/v1/connections/clinic/check").text,
        mainstay("connection", "list", env=api_of).out,
        mainstay("connection", "list", "--json", env=api_of).out,
        mainstay("connection", "check", "clinic", env=api_of).out,
    ):
        assert "127.0.0.1:9" in shown
        assert "seeded" not in shown
