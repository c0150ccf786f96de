"""For each documented operation a request that has to be answered with 2xx."""

from collections.abc import Callable
from typing import Any

from fhir_mappings.exact_json import Tree
from service import record_types
from service.routes.fhir.search import PARAMETERS
from tests.service.routes.world import IDENTIFIER, KINDS, World

TYPE_OF = {kind.path: kind.resource_type for kind in record_types.ALL}
#: What a case of Schemathesis is made with: parameters, headers, a body.
Request = dict[str, Any]
Make = Callable[[World], Request]

VERSION_1 = {"If-Match": 'W/"1"'}


def _plain(world: World) -> Request:
    return {}


def _record(resource_type: str, **more: Any) -> Make:
    def made(world: World) -> Request:
        return {"path_parameters": {"record_id": world.created(resource_type)["id"]}, **more}

    return made


def _noun(noun: str) -> dict[str, Make]:
    resource_type = TYPE_OF[noun]
    base, one = f"/api/v1/{noun}", f"/api/v1/{noun}/{{record_id}}"

    def body(world: World) -> Tree:
        return world.record(noun) if noun in KINDS else world.questionnaire()

    def put(world: World) -> Request:
        created = world.created(resource_type)
        current = world.api.get(f"{base}/{created['id']}").json
        parameters = {"record_id": created["id"]}
        return {"path_parameters": parameters, "headers": VERSION_1, "body": current}

    return {
        f"GET {base}": lambda world: {"query": {"limit": 2}},
        f"POST {base}": lambda world: {"body": body(world), "headers": {"Idempotency-Key": f"key-{noun}"}},
        f"GET {one}": _record(resource_type),
        f"PUT {one}": put,
        f"POST {one}/withdraw": _record(resource_type, headers=VERSION_1),
        f"GET {one}/history": _record(resource_type),
    }


def _fhir(resource_type: str) -> dict[str, Make]:
    base, one = f"/fhir/{resource_type}", f"/fhir/{resource_type}/{{record_id}}"

    def put(world: World) -> Request:
        created = world.created(resource_type)
        return {"path_parameters": {"record_id": created["id"]}, "headers": VERSION_1, "body": created}

    def version(world: World) -> Request:
        return {"path_parameters": {"record_id": world.created(resource_type)["id"], "version_id": "1"}}

    return {
        f"GET {base}": lambda world: {"query": {"_lastUpdated": "ge2026", "_count": 2}},
        f"POST {base}": lambda world: {"body": world.resource(resource_type)},
        f"GET {one}": _record(resource_type),
        f"PUT {one}": put,
        f"GET {one}/_history": _record(resource_type),
        f"GET {one}/_history/{{version_id}}": version,
    }


def _conflict(world: World) -> Request:
    return {"path_parameters": {"conflict_id": world.conflict()}}


def _retry(world: World) -> Request:
    created = world.created("Goal")
    world.run()
    return {"path_parameters": {"record_id": created["id"]}}


def _somebody(world: World, number: int) -> str:
    """Our id of a patient of the request's own, who is called by that number."""
    return world.api.register(f"{number}-{world.created('Goal')['id']}")


def _named(world: World, patient_id: str) -> Tree:
    named: Tree = world.api.get(f"/api/v1/patients/{patient_id}").json["identifiers"][0]
    return named


def _with_identifier(world: World) -> Request:
    patient_id = _somebody(world, 1)
    second = {"system": "urn:second", "value": patient_id}
    assert world.api.post(f"/api/v1/patients/{patient_id}/identifiers", second).status == 200
    return {"path_parameters": {"patient_id": patient_id}, "body": second}


def _correct(world: World) -> Request:
    patient_id = _somebody(world, 2)
    wrong = _named(world, patient_id)
    body = {"identifier": wrong, "corrected": {**wrong, "value": f"{wrong['value']}-mended"}}
    return {"path_parameters": {"patient_id": patient_id}, "body": body}


def _merge(world: World) -> Request:
    return {"path_parameters": {"patient_id": _somebody(world, 3)}, "body": {"into": _somebody(world, 4)}}


def _unmerge(world: World) -> Request:
    merge = _merge(world)
    patient_id = merge["path_parameters"]["patient_id"]
    assert world.api.post(f"/api/v1/patients/{patient_id}/merge", merge["body"]).status == 200
    return {"path_parameters": {"patient_id": patient_id}}


def _match(world: World) -> Request:
    patient_id = _somebody(world, 5)
    there = {"resourceType": "Patient", "identifier": [_named(world, patient_id)]}
    server_id = world.there.post("/fhir/Patient", there).json["id"]
    return {
        "path_parameters": {"patient_id": patient_id},
        "body": {"connection": "clinic", "server_id": server_id},
    }


REQUESTS: dict[str, Make] = {
    "GET /api/v1/patients": lambda world: {"query": {"identifier": "{system}|{value}".format(**IDENTIFIER)}},
    "POST /api/v1/patients": lambda world: {"body": {"identifiers": [{"system": "s", "value": "v"}]}},
    "GET /api/v1/patients/{patient_id}": lambda world: {"path_parameters": {"patient_id": world.patient}},
    "GET /api/v1/patients/{patient_id}/history": lambda world: {
        "path_parameters": {"patient_id": world.patient}
    },
    "POST /api/v1/patients/{patient_id}/identifiers": lambda world: {
        "path_parameters": {"patient_id": _somebody(world, 0)},
        "body": {"system": "urn:more", "value": world.created("Goal")["id"]},
    },
    "POST /api/v1/patients/{patient_id}/identifiers/correct": _correct,
    "POST /api/v1/patients/{patient_id}/identifiers/remove": _with_identifier,
    "POST /api/v1/patients/{patient_id}/merge": _merge,
    "POST /api/v1/patients/{patient_id}/unmerge": _unmerge,
    "GET /api/v1/patients/{patient_id}/matches": lambda world: {
        "path_parameters": {"patient_id": world.patient}
    },
    "POST /api/v1/patients/{patient_id}/matches": _match,
    "POST /api/v1/translate": lambda world: {"body": {"resource": world.resource("Goal")}},
    "GET /api/v1/sync/status": lambda world: {"query": {"connection": "clinic", "state": "pending"}},
    "GET /api/v1/sync/summary": lambda world: {"query": {"connection": "clinic"}},
    "POST /api/v1/sync/run": lambda world: {"body": {"direction": "pull"}},
    "GET /api/v1/sync/invalid": _plain,
    "POST /api/v1/sync/records/{record_id}/retry": _retry,
    "GET /api/v1/sync/conflicts": _plain,
    "GET /api/v1/sync/conflicts/{conflict_id}": _conflict,
    "POST /api/v1/sync/conflicts/{conflict_id}/resolution": lambda world: {
        **_conflict(world),
        "body": {"keep": "there"},
    },
    "GET /api/v1/sync/moved": _plain,
    "POST /api/v1/sync/moved/{record_id}/decision": lambda world: {
        "path_parameters": {"record_id": world.moved()},
        "body": {"connection": "clinic", "decision": "let-go"},
    },
    "GET /api/v1/connections": _plain,
    "POST /api/v1/connections": lambda world: {
        "body": {"name": "other", "base_url": "http://127.0.0.1:9/fhir"}
    },
    "GET /api/v1/connections/{name}": lambda world: {"path_parameters": {"name": "clinic"}},
    "POST /api/v1/connections/{name}/check": lambda world: {"path_parameters": {"name": "clinic"}},
    "GET /fhir/metadata": _plain,
    "GET /fhir/Patient": lambda world: {"query": {"identifier": "{system}|{value}".format(**IDENTIFIER)}},
    "GET /fhir/Patient/{patient_id}": lambda world: {"path_parameters": {"patient_id": world.patient}},
    "GET /healthz": _plain,
    "GET /readyz": _plain,
    "GET /metrics": _plain,
    "GET /openapi.yaml": _plain,
    "GET /docs": _plain,
}
for _name in TYPE_OF:
    REQUESTS |= _noun(_name)
for _type in PARAMETERS:
    if _type != "Patient":
        REQUESTS |= _fhir(_type)
    REQUESTS[f"POST /fhir/{_type}/_search"] = lambda world: {"body": {"_count": 1}}
