"""Every door through which a record is written, and who comes through it: people, servers, files."""

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.records import Record
from fhir_mappings.resources import BY_RESOURCE_TYPE
from service import record_types, schemas
from service.chart.audit import require_lawful
from service.chart.ownership import Origin
from service.chart.writes import Change
from service.store.backup import backup, restore
from service.store.database import Database
from service.sync.moved_decision import MovedDecision
from service.sync.report import Report
from service.sync.states import Reason
from tests.databases import MOMENT
from tests.service.chart.lawful import breaches
from tests.service.chart.visitors import Chosen, World
from tests.service.cli.running import mainstay
from tests.service.routes.caller import Answer


class RefusedError(Exception):
    """A door that answers instead of raising has refused."""


class NothingToDecideError(Exception):
    """What a door decides about did not come up."""


def either(chosen: Chosen, *choices: Any) -> Any:
    return chosen.of(choices)


# The chart's own.


def create(world: World, chosen: Chosen) -> None:
    world.chart.create(world.tree(chosen), "nurse")


def replace(world: World, chosen: Chosen) -> None:
    tree = world.next_version(chosen)
    world.chart.replace(tree["id"], tree, "nurse")


def edit(world: World, chosen: Chosen) -> None:
    tree = world.next_version(chosen)
    world.chart.edit(tree["id"], read(tree), "nurse")


def withdraw(world: World, chosen: Chosen) -> None:
    world.chart.withdraw(world.record(chosen)[0], "nurse")


def decide(world: World, chosen: Chosen) -> None:
    tree = world.next_version(chosen)
    with world.database.begin() as session:
        world.chart.decide(session, tree, "nurse", origin=either(chosen, *Origin), except_connection="none")


def save_from_server(world: World, chosen: Chosen) -> None:
    """As a pull or a merge saves it, whatever judged it before."""
    record_id, kind = either(chosen, world.record(chosen), (None, None))
    one = world.person(chosen)
    tree, whose = world.tree(chosen, kind, one), world.living(either(chosen, one, one, "ann", "bob"))
    change = Change(actor="connection:ehr", action="pull", at=MOMENT, origin=Origin.SERVER)
    with world.database.begin() as session:
        known = {**tree, "id": record_id or world.new_id()}
        world.chart.save_from_server(session, known, whose, change, record_id=record_id)


def hand_over(world: World, chosen: Chosen) -> None:
    one = world.person(chosen)
    record_id, kind = world.record(chosen)
    tree, whose = world.tree(chosen, kind, one), world.living(either(chosen, one, one, "ann", "bob"))
    with world.database.begin() as session:
        world.chart.hand_over(session, record_id, tree, whose, "nurse", except_connection="none")


def read(tree: Tree) -> Record:
    record: Record = BY_RESOURCE_TYPE[tree["resourceType"]].read(tree)
    return record


# Who is who.


def register_patient(world: World, chosen: Chosen) -> None:
    names = [world.name(chosen) for _ in range(chosen.of([1, 2]))]
    world.chart.register_patient(names, "nurse", also=chosen.yes())


def add_identifier(world: World, chosen: Chosen) -> None:
    world.register.add_identifier(world.ids[world.person(chosen)], world.name(chosen), "nurse", also=True)


def correct_identifier(world: World, chosen: Chosen) -> None:
    one = world.person(chosen)
    world.register.correct_identifier(
        world.living(one), world.called(one), world.name(chosen), "nurse", also=True
    )


def remove_identifier(world: World, chosen: Chosen) -> None:
    one = world.person(chosen)
    world.register.remove_identifier(world.living(one), world.called(one), "nurse")


def merge(world: World, chosen: Chosen) -> None:
    one, other = either(chosen, ("ann", "bob"), ("bob", "ann"))
    world.register.merge(world.ids[one], world.ids[other], "nurse")
    if chosen.yes():
        world.refusable(lambda: replace(world, chosen))


def unmerge(world: World, chosen: Chosen) -> None:
    merged = [one for one in world.ids.values() if world.chart.patient(one).merged_into]
    if not merged:
        merged = [world.ids["ann"]]
        world.register.merge(world.ids["ann"], world.ids["bob"], "nurse")
    world.refusable(lambda: world.register.unmerge(either(chosen, *merged), "nurse"))


# Servers.


def pull(world: World, chosen: Chosen) -> None:
    world.change_there(chosen)
    whole(world.sync.pull())


def push(world: World, chosen: Chosen) -> None:
    """An edit here meets a change there, and the two are merged."""
    world.change_both(chosen)
    whole(world.sync.push())


def run(world: World, chosen: Chosen) -> None:
    world.change_there(chosen)
    whole(world.sync.run())


def compare(world: World, chosen: Chosen) -> None:
    world.change_there(chosen)
    whole(world.sync.compare())


def resolve(world: World, chosen: Chosen) -> None:
    world.change_both(chosen)
    world.sync.pull()
    found, _ = world.sync.conflicts()
    if not found:
        raise NothingToDecideError
    one = either(chosen, *found)
    keep = either(chosen, "here", "there", "record")
    record = read(world.tree(chosen, either(chosen, one.resource_type, None))) if keep == "record" else None
    world.refusable(lambda: world.sync.resolve(one.id, "here" if record else keep, "nurse", record))


def decide_moved(world: World, chosen: Chosen) -> None:
    world.move_there(chosen)
    whole(world.sync.run())
    found = world.sync.moved()
    if not found:
        raise NothingToDecideError
    one = either(chosen, *found)
    decision = either(chosen, *MovedDecision)
    world.refusable(lambda: world.sync.decide_moved(one.record_id, one.connection, decision, "nurse"))
    whole(world.sync.run())


def whole(report: Report) -> None:
    """What a server says is refused by a rule, never by an accident."""
    assert Reason.FAILED_HERE not in report.problems, report


def retry(world: World, chosen: Chosen) -> None:
    world.sync.retry(world.record(chosen)[0])


def match_patient(world: World, chosen: Chosen) -> None:
    there = either(chosen, *world.there.values())
    world.sync.match_patient(world.ids[world.person(chosen)], there, "ehr", "nurse")


def enqueue_all(world: World, chosen: Chosen) -> None:
    world.sync.enqueue_all("ehr")


def add_connection(world: World, chosen: Chosen) -> None:
    world.sync.add_connection(
        world.new_id(), either(chosen, world.base_url, f"http://127.0.0.1:9/{world.new_id()}")
    )


def check_connection(world: World, chosen: Chosen) -> None:
    world.sync.check_connection("ehr")


# Files.


def load(world: World, chosen: Chosen) -> None:
    tree = world.tree(chosen)
    line = either(chosen, tree, schemas.dump(read(tree)))
    if mainstay("load", "-", input=exact_json.dump(line), env={"MAINSTAY_DATABASE_URL": world.url}).code:
        raise RefusedError


def restored(world: World, chosen: Chosen) -> None:
    """A backup of what is here, or of what somebody wrote past the chart."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "backup"
        with world.spoiled(chosen):
            backup(world.database, file)
        with closing(Database(f"sqlite:///{directory}/other.db")) as other:
            restore(other, file, check=require_lawful)
            assert breaches(other) == []


# The two faces over HTTP, for everyone and for who is confined to one patient.


def posted(world: World, chosen: Chosen) -> None:
    tree = world.tree(chosen)
    accepted(world.api(chosen).post(path_of(tree["resourceType"]), schemas.dump(read(tree))))


def put(world: World, chosen: Chosen) -> None:
    tree = world.next_version(chosen)
    path = f"{path_of(tree['resourceType'])}/{tree['id']}"
    accepted(world.api(chosen).put(path, schemas.dump(read(tree)), If_Match=world.etag(tree["id"])))


def withdrawn(world: World, chosen: Chosen) -> None:
    record_id, kind = world.record(chosen)
    accepted(world.api(chosen).post(f"{path_of(kind)}/{record_id}/withdraw"))


def path_of(resource_type: str) -> str:
    return f"/api/v1/{record_types.BY_RESOURCE_TYPE[resource_type].path}"


def fhir_posted(world: World, chosen: Chosen) -> None:
    tree = world.tree(chosen)
    accepted(world.api(chosen).post(f"/fhir/{tree['resourceType']}", tree))


def fhir_put(world: World, chosen: Chosen) -> None:
    tree = world.next_version(chosen)
    path = f"/fhir/{tree['resourceType']}/{tree['id']}"
    accepted(world.api(chosen).put(path, tree, If_Match=world.etag(tree["id"])))


def accepted(answer: Answer) -> None:
    assert answer.status < 500, answer
    if answer.status >= 400:
        raise RefusedError


Door = Callable[[World, Chosen], None]

#: By the names of the public methods that they come in by.
METHODS: dict[str, Door] = {
    "Chart.create": create,
    "Chart.edit": edit,
    "Chart.replace": replace,
    "Chart.withdraw": withdraw,
    "Chart.decide": decide,
    "Chart.save_from_server": save_from_server,
    "Chart.hand_over": hand_over,
    "Chart.register_patient": register_patient,
    "PatientRegister.add_identifier": add_identifier,
    "PatientRegister.correct_identifier": correct_identifier,
    "PatientRegister.remove_identifier": remove_identifier,
    "PatientRegister.merge": merge,
    "PatientRegister.unmerge": unmerge,
    "Sync.push": push,
    "Sync.pull": pull,
    "Sync.run": run,
    "Sync.compare": compare,
    "Sync.resolve": resolve,
    "Sync.decide_moved": decide_moved,
    "Sync.retry": retry,
    "Sync.match_patient": match_patient,
    "Sync.enqueue_all": enqueue_all,
    "Sync.add_connection": add_connection,
    "Sync.check_connection": check_connection,
}
OTHERS: dict[str, Door] = {
    "mainstay load": load,
    "mainstay restore": restored,
    "POST /api/v1": posted,
    "PUT /api/v1": put,
    "POST /api/v1 withdraw": withdrawn,
    "POST /fhir": fhir_posted,
    "PUT /fhir": fhir_put,
}
DOORS = METHODS | OTHERS
