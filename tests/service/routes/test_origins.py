"""What a browser sends on behalf of another site's page changes nothing; everybody else is let through."""

import pytest
from flask import Flask

from service.app import create_app
from service.config import Config
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, goal, published_keys, token

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost, https://evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "whatever comes next"},
]
OWN = [
    {},
    {"Origin": "http://localhost"},
    {"Origin": "http://LOCALHOST:80"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    # Behind a proxy that ends TLS; the browser has compared.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://mainstay.example"},
]


@pytest.fixture(params=["open", "guarded"])
def anyone(request: pytest.FixtureRequest, app: Flask, guarded_app: Flask) -> Api:
    """A caller where no token is needed, and one who has a token."""
    return Api(app) if request.param == "open" else Api(guarded_app, token())


def test_a_page_of_another_origin_can_withdraw_nothing(anyone: Api) -> None:
    created = anyone.post("/api/v1/goals", goal(anyone.register())).json
    for headers in FOREIGN:
        refused = anyone.send("POST", f"/api/v1/goals/{created['id']}/withdraw", headers=headers)
        assert refused.status == 403, headers
    assert anyone.get(f"/api/v1/goals/{created['id']}").json["status"] == "active"


def test_who_is_no_page_or_a_page_of_ours_may(anyone: Api) -> None:
    patient = anyone.register()
    for headers in OWN:
        assert anyone.send("POST", "/api/v1/goals", goal(patient), headers).status == 201, headers


def test_every_operation_that_may_change_something_is_closed_to_other_origins(app: Flask) -> None:
    api, tried = Api(app), 0
    for path, methods in app.extensions["openapi"]["paths"].items():
        for method in methods.keys() & {"post", "put", "patch", "delete"}:
            tried += 1
            concrete = path.replace("{", "").replace("}", "")
            refused = api.send(method.upper(), concrete, headers={"Origin": "https://evil.example"})
            assert (refused.status, "origin" in refused.text) == (403, True), (method, path)
    assert tried > 20


def test_what_changes_nothing_is_open_to_links_from_elsewhere(anyone: Api) -> None:
    for headers in FOREIGN:
        assert anyone.send("GET", "/api/v1/goals", headers=headers).status == 200, headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://mainstay.example", 201),
        ("https://mainstay.example:443", 201),
        ("http://mainstay.example", 403),
        ("http://localhost", 403),
        ("https://evil.example", 403),
    ],
)
def test_behind_a_proxy_the_public_address_says_which_origin_is_ours(
    database: Database, clock: Clock, origin: str, status: int
) -> None:
    config = Config(**GUARDED, public_url="https://mainstay.example/records")
    app = create_app(config, database=database, clock=clock, fetch_keys=published_keys)
    api = Api(app, token())
    made = api.post("/api/v1/goals", goal(api.register()), Origin=origin, X_Forwarded_Host="evil.example")
    assert made.status == status
