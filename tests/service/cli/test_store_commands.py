"""The commands that work on the store: what goes in comes out, and doing it again doubles nothing."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhir_mappings.resources import BY_RESOURCE_TYPE
from service.chart import Chart
from service.cli.practice_data import seed
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Answered
from service.sandbox.server import running
from service.wiring import utc_now
from tests.databases import opened
from tests.service.cli.running import EXAMPLES, ROOT, Ended, mainstay
from tests.service.store.full import no_larger_files

PATIENT = ROOT / "examples" / "patient" / "patient.json"
QUESTIONNAIRES = sorted((ROOT / "service" / "content" / "questionnaires").glob("*.json"))
THERE = sorted((ROOT / "examples" / "ehr").glob("*.json"))

Run = Callable[..., Ended]


@pytest.fixture
def run(database_url: str) -> Run:
    """Runs commands on an empty database that is up to date."""

    def run(*arguments: object, **options: Any) -> Ended:
        return mainstay(*arguments, env={"MAINSTAY_DATABASE_URL": database_url}, **options)

    assert run("db", "upgrade").code == 0
    return run


@pytest.fixture
def loaded(run: Run) -> Run:
    assert run("load", PATIENT, *QUESTIONNAIRES, *EXAMPLES).code == 0
    return run


@pytest.fixture
def server() -> Iterator[str]:
    with running() as base_url:
        assert seed(base_url, map(str, THERE))
        yield base_url


@pytest.fixture
def connected(loaded: Run, server: str) -> Run:
    assert loaded("connection", "add", "practice", server).code == 0
    return loaded


def test_a_database_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ended = mainstay("export", env={"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/new.db"})
    assert ended.code == 1
    assert "mainstay db upgrade" in ended.err


def test_what_is_loaded_in_any_order_is_there_once(run: Run) -> None:
    backwards = [*reversed(EXAMPLES), *QUESTIONNAIRES, PATIENT]
    first = run("load", *backwards)
    assert (first.code, first.err) == (0, "22 new, 0 here already, 0 refused\n")
    again = run("load", *backwards)
    assert (again.code, again.err) == (0, "0 new, 22 here already, 0 refused\n")
    assert len(run("export").lines) == 22


def test_a_line_without_an_id_is_the_same_record_each_time(run: Run) -> None:
    run("load", PATIENT)
    goal = json.loads(EXAMPLES[1].read_text())
    del goal["id"]
    for expected in ("1 new, 0 here", "0 new, 1 here"):
        assert expected in run("load", "-", input=json.dumps(goal)).err


def test_what_lacks_what_it_refers_to_is_refused_by_path(run: Run) -> None:
    ended = run("load", PATIENT, next(path for path in EXAMPLES if "plan-together" in path.name))
    assert ended.code == 1
    assert "CarePlan.goal[0]" in ended.err
    assert "1 new, 0 here already, 1 refused" in ended.err


@pytest.mark.parametrize(
    "bad",
    [
        '{"type":"Patient"}',
        '{"type":"Patient","identifiers":[]}',
        '{"type":"Patient","identifiers":[7]}',
        '{"type":"Patient","identifiers":[{"system":"s","value":"v"}],"name":"x"}',
        '{"resourceType":"Patient","identifier":[{"system":"s","value":"v"}]}',
        "[",
    ],
)
def test_a_bad_line_is_refused_and_the_others_are_loaded(run: Run, bad: str) -> None:
    ended = run("load", "-", input=f"{json.dumps(json.loads(PATIENT.read_text()))}\n{bad}\n")
    assert ended.code == 1
    assert "1 new, 0 here already, 1 refused" in ended.err


@pytest.mark.parametrize("form", [[], ["--fhir"]])
def test_an_export_loads_into_an_empty_store_as_the_same(
    loaded: Run, tmp_path: Path, form: list[str]
) -> None:
    exported = loaded("export", *form)
    other = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/other.db"}
    mainstay("db", "upgrade", env=other)
    assert mainstay("load", "-", input=exported.out, env=other).code == 0
    assert alike(mainstay("export", *form, env=other).lines) == alike(exported.lines)


def alike(lines: list[Any]) -> list[Any]:
    """Leave out what each deployment gives on its own: ids of patients, and its own identifiers."""
    (patient,) = (line["id"] for line in lines if line.get("type") == "Patient")
    text = json.dumps(lines).replace(patient, "patient")
    return [
        {name: value for name, value in line.items() if name not in ("identifier", "identifiers")}
        for line in json.loads(text)
    ]


def test_a_backup_is_restored_into_an_empty_store_as_it_was(loaded: Run, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    assert loaded("backup", file).code == 0
    assert file.stat().st_mode & 0o077 == 0
    other = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/other.db"}
    assert mainstay("restore", file, env=other).code == 0
    assert mainstay("export", "--fhir", env=other).lines == loaded("export", "--fhir").lines
    again = mainstay("restore", file, env=other)
    assert (again.code, again.err.startswith("Error: ")) == (1, True)


def test_what_is_no_backup_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("something else")
    ended = mainstay("restore", file, env={"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/new.db"})
    assert (ended.code, ended.err.startswith("Error: ")) == (1, True)


def test_one_round_of_the_worker_brings_everything_there(connected: Run) -> None:
    assert connected("worker", "--once").code == 0
    assert {row["state"] for row in connected("sync", "status", "--json").lines} == {"synced"}


def test_patients_are_added_once_and_found(run: Run) -> None:
    (added,) = run("patient", "add", "https://a.example|1", "--json").lines
    (again,) = run("patient", "add", "https://a.example|1", "--json").lines
    assert added == again
    assert run("patient", "list", "--json").lines == [added]
    assert run("patient", "show", "https://a.example|1", "--json").lines == [added]
    assert run("patient", "show", added["id"], "--json").lines == [added]
    assert run("patient", "show", "https://a.example|2").code == 1
    assert run("patient", "add", "no-system").code == 2


def test_everything_reaches_a_server_and_a_change_there_comes_back(connected: Run, server: str) -> None:
    assert connected("sync", "run").code == 0
    rows = connected("sync", "status", "--json").lines
    assert {row["state"] for row in rows} == {"synced"}
    assert len(rows) == len(EXAMPLES)
    _change_goal(server, rows, "goal-garden", "Dig")
    (report,) = connected("sync", "pull", "--json").lines
    assert report["merged"] == 1
    assert [line["statement"] for line in connected("export").lines if line.get("id") == "goal-garden"] == [
        "Dig"
    ]


def test_a_change_on_both_sides_is_shown_and_decided(connected: Run, server: str, database_url: str) -> None:
    connected("sync", "run")
    rows = connected("sync", "status", "--json").lines
    _change_goal(server, rows, "goal-garden", "Theirs")
    _edit_here(database_url, "goal-garden", "Ours")
    assert connected("sync", "run").code == 1
    (row,) = connected("sync", "status", "--state", "conflict", "--json").lines
    assert row["record_id"] == "goal-garden"
    (listed,) = connected("sync", "conflicts", "--json").lines
    (whole,) = connected("sync", "conflicts", listed["id"]).lines
    assert [whole[side]["description"]["text"] for side in ("here", "there")] == ["Ours", "Theirs"]
    assert connected("sync", "resolve", listed["id"]).code == 2
    assert connected("sync", "resolve", listed["id"], "--keep", "here").code == 0
    assert connected("sync", "run").code == 0
    (row,) = (one for one in connected("sync", "status", "--json").lines if one["record_id"] == "goal-garden")
    read = FHIRClient(server).read("Goal", row["server_id"])
    assert isinstance(read, Answered)
    assert read.body is not None
    assert (row["state"], read.body["description"]["text"]) == ("synced", "Ours")


def test_what_is_not_valid_there_is_listed_with_its_findings(connected: Run, server: str) -> None:
    connected("sync", "run")
    (patient,) = requests.get(f"{server}/Patient", timeout=10).json()["entry"]
    bad = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "subject": {"reference": f"Patient/{patient['resource']['id']}"},
    }
    created = requests.post(f"{server}/Goal", json=bad, timeout=10).json()
    assert connected("sync", "pull").code == 1
    (row,) = connected("sync", "invalid", "--json").lines
    assert (row["resource_type"], row["server_id"]) == ("Goal", created["id"])
    assert [finding["path"] for finding in row["findings"]] == ["Goal.description"]
    assert "Goal.description" in connected("sync", "invalid").out


def test_a_server_that_is_away_is_told_with_a_next_step(loaded: Run) -> None:
    loaded("connection", "add", "away", "http://127.0.0.1:9/fhir")
    checked = loaded("connection", "check", "away", "--json")
    assert (checked.code, checked.lines[0]["problem"]) == (1, "unreachable")
    assert loaded("sync", "run").code == 1
    examined = loaded("doctor", "--json")
    assert examined.code == 1
    assert [line["what"] for line in examined.lines if not line["ok"]] == ["connection away"]


def test_the_doctor_finds_nothing_where_all_is_well(connected: Run) -> None:
    connected("sync", "run")
    examined = connected("doctor", "--json")
    assert [line for line in examined.lines if not line["ok"]] == []
    assert examined.code == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MAINSTAY_PORT": "many"}, "MAINSTAY_PORT"),
        ({"MAINSTAY_DATABASE_URL": "mysql://x"}, "MAINSTAY_DATABASE_URL"),
        ({"MAINSTAY_HOST": "0.0.0.0"}, "MAINSTAY_AUTH_ISSUER"),
        ({"MAINSTAY_PUBLIC_URL": "https://mainstay.example"}, "401"),
        ({}, "mainstay db upgrade"),
    ],
)
def test_the_doctor_says_what_is_wrong(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    env = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/none.db", **settings}
    examined = mainstay("doctor", "--json", env=env)
    assert examined.code == 1
    assert said in " ".join(line["to_do"] for line in examined.lines if not line["ok"])


def test_the_doctor_finds_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    env = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    assert mainstay("db", "upgrade", env=env).code == 0
    with no_larger_files(100_000):
        examined = mainstay("doctor", "--json", env=env)
    assert examined.code == 1
    (line,) = (line for line in examined.lines if not line["ok"])
    assert "disk of the database reports an error" in line["seen"]
    assert mainstay("doctor", "--json", env=env).code == 0


def test_without_authentication_no_other_address_is_served(tmp_path: Path) -> None:
    env = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "MAINSTAY_HOST": "0.0.0.0"}
    ended = mainstay("serve", env=env)
    assert ended.code == 2
    assert "loopback" in ended.err


def test_the_configured_server_is_a_connection(run: Run, database_url: str, server: str) -> None:
    env = {"MAINSTAY_DATABASE_URL": database_url, "MAINSTAY_FHIR_BASE_URL": server}
    for _ in range(2):
        (row,) = mainstay("connection", "list", "--json", env=env).lines
        assert (row["name"], row["base_url"]) == ("default", server)


@pytest.mark.parametrize(
    "arguments",
    [
        ["connection", "add", "Bad Name", "http://127.0.0.1/fhir"],
        ["connection", "add", "x", "ftp://127.0.0.1/fhir"],
        ["connection", "add", "x", "http://user:secret@127.0.0.1/fhir"],
        ["sync", "status", "--state", "lost"],
    ],
)
def test_wrong_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "retry", "nobody"],
        ["sync", "run", "--connection", "nobody"],
        ["sync", "conflicts", "nobody"],
        ["connection", "check", "nobody"],
        ["patient", "show", "nobody"],
    ],
)
def test_what_is_not_there_is_told_so(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 1
    assert ended.err.startswith("Error: ")


def _change_goal(server: str, rows: list[Any], record_id: str, statement: str) -> None:
    client = FHIRClient(server)
    (server_id,) = (row["server_id"] for row in rows if row["record_id"] == record_id)
    read = client.read("Goal", server_id)
    assert isinstance(read, Answered)
    assert read.body is not None
    assert read.version is not None
    changed = {**read.body, "description": {**read.body["description"], "text": statement}}
    assert isinstance(client.update(changed, version=read.version), Answered)


def _edit_here(database_url: str, record_id: str, statement: str) -> None:
    with opened(database_url) as database:
        chart = Chart(database, utc_now)
        goal = BY_RESOURCE_TYPE["Goal"].read(chart.get("Goal", record_id).tree)
        chart.edit(record_id, dataclasses.replace(goal, statement=statement), "nurse")
