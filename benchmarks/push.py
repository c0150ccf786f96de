"""Push to HAPI against a bare loop that posts the same bundles, and against creates one by one by fhirpy."""

import statistics
import time
import uuid
from collections.abc import Callable, Iterator

import requests
from fhirpy import SyncFHIRClient

from benchmarks.stage import FHIR_JSON, SYSTEM, Stage, goal, stage
from benchmarks.timing import ROUNDS
from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from tests.servers.hapi import HapiServer

RECORDS = 500
BUNDLE = 50


def run() -> Iterator[str]:
    """Yield the ratios; each round creates other records, so that nothing is warm but the server."""
    with HapiServer() as server, stage(server.base_url) as one:
        base_url = server.base_url
        contenders: dict[str, Callable[[], float]] = {
            "push": lambda: _push(one),
            "bare loop": lambda: _bare_loop(one, base_url),
            "fhirpy": lambda: _fhirpy(one, base_url),
        }
        for contender in contenders.values():
            contender()
        rounds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                rounds[name].append(contender())
    seconds = {name: statistics.median(some) for name, some in rounds.items()}
    loop, singles = seconds["bare loop"] / seconds["push"], seconds["fhirpy"] / seconds["push"]
    yield f"push of {RECORDS} goals: {loop:.2f} x a bare loop over the same bundles of {BUNDLE}"
    yield f"push of {RECORDS} goals: {singles:.2f} x creates one by one by fhirpy"


def _push(one: Stage) -> float:
    for number in range(RECORDS):
        one.chart.create(one.goal(number), "benchmark")
    started = time.perf_counter()
    one.sync.push()
    elapsed = time.perf_counter() - started
    one.require_synced()
    return elapsed


def _bare_loop(one: Stage, base_url: str) -> float:
    bundles = [_bundle(one, start) for start in range(0, RECORDS, BUNDLE)]
    session = requests.Session()
    started = time.perf_counter()
    for bundle in bundles:
        body = exact_json.dump(bundle).encode()
        answer = session.post(base_url, data=body, headers=FHIR_JSON, timeout=120)
        answer.raise_for_status()
        exact_json.parse(answer.content)
    return time.perf_counter() - started


def _bundle(one: Stage, start: int) -> Tree:
    entries = []
    for number in range(start, start + BUNDLE):
        value = str(uuid.uuid4())
        resource = goal(f"Patient/{one.server_patient_id}", number)
        resource["identifier"] = [{"system": SYSTEM, "value": value}]
        request = {"method": "POST", "url": "Goal", "ifNoneExist": f"identifier={SYSTEM}|{value}"}
        entries.append({"fullUrl": f"urn:uuid:{value}", "resource": resource, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _fhirpy(one: Stage, base_url: str) -> float:
    client = SyncFHIRClient(base_url)
    subject = f"Patient/{one.server_patient_id}"
    started = time.perf_counter()
    for number in range(RECORDS):
        body = goal(subject, number)
        del body["resourceType"]
        # fhirpy has hints, but none for this method.
        client.resource("Goal", **body).create()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started
