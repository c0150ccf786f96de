"""mainstay demo: the whole road on embedded defaults: records in, FHIR out, a change there comes back."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from fhir_mappings import codes
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import with_literals
from service.cli import terminal
from service.cli.api_client import ApiClient
from service.cli.exits import FOUND, end
from service.cli.inputs import items
from service.cli.practice_data import seed
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Answered
from service.record_types import BY_NAME
from service.sandbox.server import running
from service.store.database import Database

ROOT = Path(__file__).parent.parent.parent
QUESTIONNAIRES = Path(__file__).parent.parent / "content" / "questionnaires"
#: The goal that somebody changes on the other server.
CHANGED = "goal-school-run"
_COLUMNS = ("record", "FHIR type", "server id", "version", "state")


@click.command()
@click.option(
    "--once", is_flag=True, help="End when the table is printed; exit code 1 if not all is in step."
)
@click.option(
    "--examples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT / "examples",
    help="Directory of the examples.",
)
def demo(once: bool, examples: Path) -> None:
    """Send one person's course of care through: from the API over the store to a FHIR server, and back.

    Starts a FHIR sandbox and the service, on free ports of this machine and with a database of their own.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as running_things:
        directory = running_things.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-demo-"))
        sandbox = running_things.enter_context(running())
        seed(sandbox, sorted(str(path) for path in (examples / "ehr").glob("*.json")))
        environment = _environment(directory, sandbox)
        Database(environment["MAINSTAY_DATABASE_URL"]).upgrade()
        address = f"http://127.0.0.1:{environment['MAINSTAY_PORT']}"
        running_things.enter_context(_process(["serve"], environment))
        api = ApiClient(address)
        api.wait_until_ready()
        in_step = _show(api, FHIRClient(sandbox), examples)
        if not once:
            running_things.enter_context(_process(["worker"], environment))
            _stay(address, sandbox)
    if not in_step:
        end(FOUND)


def _show(api: ApiClient, there: FHIRClient, examples: Path) -> bool:
    """Go the whole road and print it; tell whether everything is in step at its end."""
    sent = _send(api, examples)
    terminal.say(f"{len(sent)} records sent through the API.")
    first = api.post("/api/v1/sync/run", {"direction": "both"})
    terminal.say(f"Synced: {first['synced']} are on the server now.")
    _change_there(api, there, sent[CHANGED])
    terminal.say("A goal was changed on the server: how far it is reached.")
    api.post("/api/v1/sync/run", {"direction": "pull"})
    goal = api.get(f"/api/v1/goals/{sent[CHANGED]}")
    reached = goal["achievement"]["text"]
    terminal.say(f"Pulled: here it says {reached!r} now.")
    rows = _standing(api, sent)
    terminal.table(_COLUMNS, rows)
    return len(rows) == len(sent) and all(row[-1] == "synced" for row in rows) and reached == ACHIEVED["text"]


def _send(api: ApiClient, examples: Path) -> dict[str, str]:
    """Create everything through the API; return our ids by those in the files."""
    for path in sorted((examples / "patient").glob("*.json")):
        for item in items([str(path)]):
            api.post("/api/v1/patients", {"identifiers": (item.tree or {})["identifiers"]})
    for item in items(sorted(map(str, QUESTIONNAIRES.glob("*.json")))):
        api.post("/api/v1/questionnaires", item.tree or {})
    ids: dict[str, str] = {}
    references: dict[str, str] = {}
    for item in items(sorted(map(str, examples.glob("*.json")))):
        said: Tree = item.tree or {}
        type_ = BY_NAME[said["type"]].resource_type
        # The service gives its own ids, so what refers to an earlier record is told the new one.
        body = with_literals(
            {name: value for name, value in said.items() if name != "id"},
            lambda reference: references.get(reference, reference),
        )
        created = api.post(f"/api/v1/{BY_NAME[said['type']].path}", body)
        ids[said["id"]] = created["id"]
        references[f"{type_}/{said['id']}"] = f"{type_}/{created['id']}"
    return ids


def _change_there(api: ApiClient, there: FHIRClient, record_id: str) -> None:
    standing = next(row for row in _statuses(api) if row["record_id"] == record_id)
    if standing["server_id"] is None:
        raise click.ClickException(f"the goal did not reach the server: {standing['reason']}")
    read = there.read("Goal", standing["server_id"])
    if not isinstance(read, Answered) or read.body is None or read.version is None:
        raise click.ClickException("the goal cannot be read on the server")
    changed = there.update({**read.body, "achievementStatus": ACHIEVED}, version=read.version)
    if not isinstance(changed, Answered):
        raise click.ClickException("the goal cannot be changed on the server")


def _standing(api: ApiClient, sent: dict[str, str]) -> list[tuple[Any, ...]]:
    by_record = {row["record_id"]: row for row in _statuses(api)}
    return [
        (
            name,
            row["resource_type"],
            row["server_id"],
            row["server_version"],
            row["state"] if not row["reason"] else f"{row['state']}: {row['reason']}",
        )
        for name, record_id in sent.items()
        if (row := by_record.get(record_id))
    ]


def _statuses(api: ApiClient) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get("/api/v1/sync/status?limit=200")["items"]
    return rows


def _stay(address: str, sandbox: str) -> None:
    terminal.say(
        f"\nOpen {address}/docs for the API, {address}/api/v1/goals for the records,\n"
        f"     {address}/fhir/Goal for the same as FHIR, {sandbox}/Goal for what the other server holds.\n"
        "A worker keeps the two in step. Ctrl-C ends the demo and removes what it made."
    )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C does, so that what was started is ended too.
    raise KeyboardInterrupt


def _environment(directory: str, sandbox: str) -> dict[str, str]:
    """Return an environment with our settings alone, so that those of the user's own service stay out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}  # noqa: TID251
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH")])),
        "MAINSTAY_DATABASE_URL": f"sqlite:///{directory}/mainstay.db",
        "MAINSTAY_PORT": str(_free_port()),
        "MAINSTAY_FHIR_BASE_URL": sandbox,
        "MAINSTAY_SYNC_INTERVAL_SECONDS": "5",
        "MAINSTAY_LOG_LEVEL": "WARNING",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@contextmanager
def _process(arguments: Sequence[str], environment: dict[str, str]) -> Iterator[None]:
    """Run a command of ours as long as the block lasts."""
    # A session of its own: Ctrl-C reaches the demo alone, which then ends the others in order.
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "service.cli", *arguments], env=environment, start_new_session=True
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


ACHIEVED = {
    "coding": [{"system": codes.ACHIEVEMENT, "code": "achieved", "display": "Achieved"}],
    "text": "Reached: there and back",
}
