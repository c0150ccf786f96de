"""The guards on our own scaffolding: the real servers answer, are apart, and start without a build."""

import socket
import subprocess
import sys
import time
import urllib.request
from uuid import uuid4

import psycopg
import pytest
import requests

from tests.servers import hapi as hapi_module
from tests.servers import workshop
from tests.servers.postgres import PostgresServer

GOAL = {
    "resourceType": "Goal",
    "lifecycleStatus": "active",
    "description": {"text": "Walk to the market"},
    "subject": {"identifier": {"system": "urn:example:people", "value": "scaffold"}},
}


def test_the_fhir_server_speaks_r4(hapi: str) -> None:
    statement = requests.get(f"{hapi}/metadata", timeout=30).json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")


def test_a_goal_comes_back_with_the_version_that_was_written(hapi: str) -> None:
    created = requests.post(f"{hapi}/Goal", json=GOAL, timeout=30)
    assert created.status_code == 201
    read = requests.get(f"{hapi}/Goal/{created.json()['id']}", timeout=30)
    assert read.headers["ETag"] == 'W/"1"'
    assert read.json()["description"] == GOAL["description"]


def test_a_search_sees_what_was_just_written(hapi: str) -> None:
    identifier = {"system": "urn:example:scaffold", "value": str(uuid4())}
    query = {"identifier": f"{identifier['system']}|{identifier['value']}"}

    def matches() -> int:
        return len(requests.get(f"{hapi}/Goal", params=query, timeout=30).json().get("entry", []))

    assert matches() == 0
    requests.post(f"{hapi}/Goal", json={**GOAL, "identifier": [identifier]}, timeout=30)
    assert matches() == 1


def test_the_fhir_server_knows_the_us_core_profiles(hapi: str) -> None:
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-goal"
    without_description = {name: value for name, value in GOAL.items() if name != "description"}
    outcome = requests.post(
        f"{hapi}/Goal/$validate", params={"profile": profile}, json=without_description, timeout=60
    ).json()
    errors = [issue["diagnostics"] for issue in outcome["issue"] if issue["severity"] == "error"]
    assert any("Goal.description" in error and "us-core-goal" in error for error in errors)


def test_databases_start_empty_and_apart(postgres: PostgresServer) -> None:
    with postgres.empty_database() as one, postgres.empty_database() as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE only_here (id int)")
        with psycopg.connect(other) as connection:
            [[tables]] = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'")
    assert tables == 0


def test_a_database_is_gone_after_its_test(postgres: PostgresServer) -> None:
    with postgres.empty_database() as url:
        psycopg.connect(url).close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_the_database_server_ends_with_the_process_that_started_it() -> None:
    start = "from tests.servers.postgres import PostgresServer; import os; s = PostgresServer()"
    leave = "print(s.port, flush=True); os.kill(os.getpid(), 9)"
    orphan = subprocess.run(
        [sys.executable, "-c", f"{start}; {leave}"], capture_output=True, text=True, check=False
    )
    port = int(orphan.stdout)
    deadline = time.monotonic() + 10
    while is_listening(port):
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.05)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.usefixtures("hapi")
def test_a_second_start_needs_neither_maven_nor_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    first = hapi_module.build()
    java_alone = workshop.cache_directory() / "java-alone"
    java_alone.mkdir(exist_ok=True)
    link = java_alone / "java"
    link.unlink(missing_ok=True)
    link.symlink_to(hapi_module.find_java())
    monkeypatch.setenv("PATH", str(java_alone))
    assert hapi_module.build() == first


def test_a_missing_tool_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(workshop.MissingToolError, match=r"java is not installed: .*apt-get install"):
        hapi_module.build()


def test_the_network_is_out_of_reach() -> None:
    with pytest.raises(RuntimeError, match=r"tests stay on this machine"):
        urllib.request.urlopen("http://fhir.example.org/metadata", timeout=1)
