"""What a server says that it can do."""

import pytest

from tests.contract.server import Server


def test_the_statement_is_of_an_r4_server(server: Server) -> None:
    statement = server.search("/metadata")

    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    assert {"code": "transaction"} in statement["rest"][0]["interaction"]


@pytest.mark.parametrize(
    "resource_type", ["Goal", "CarePlan", "ServiceRequest", "QuestionnaireResponse", "Patient"]
)
def test_what_is_said_of_a_type_is_enough_to_keep_it_in_step(server: Server, resource_type: str) -> None:
    types = {item["type"]: item for item in server.search("/metadata")["rest"][0]["resource"]}
    said = types[resource_type]

    codes = {interaction["code"] for interaction in said["interaction"]}
    assert {"create", "read", "vread", "update", "delete", "search-type", "history-instance"} <= codes
    assert (said["versioning"], said["conditionalCreate"], said["conditionalUpdate"]) == (
        "versioned-update",
        True,
        True,
    )
    assert {"_id", "_lastUpdated", "identifier"} <= {parameter["name"] for parameter in said["searchParam"]}


def test_each_search_parameter_that_is_said_is_understood(server: Server) -> None:
    values = {"date": "2026", "reference": "x", "token": "x", "string": "x", "uri": "urn:x"}
    types = {item["type"]: item for item in server.search("/metadata")["rest"][0]["resource"]}

    for name in ("Goal", "CarePlan", "ServiceRequest", "QuestionnaireResponse"):
        # `_has` is no parameter that a query can hold as it is.
        for parameter in (said for said in types[name]["searchParam"] if said["name"] != "_has"):
            query = f"{parameter['name']}={values[parameter['type']]}"
            assert server.get(f"/{name}?{query}").status_code == 200, (name, parameter["name"])


def test_every_r4_type_has_a_place(server: Server) -> None:
    said = {item["type"] for item in server.search("/metadata")["rest"][0]["resource"]}

    assert len(said) >= 145
    assert {"Goal", "CarePlan", "Provenance", "DocumentReference", "Basic", "Task"} <= said
