"""mainstay load: NDJSON into the store, in any order, and doubling nothing when done again."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any

import click

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.mappings import BY_RECORD_TYPE
from service import schemas
from service.chart import Chart
from service.cli import terminal
from service.cli.bundle_entries import made_id
from service.cli.ending import FOUND, end
from service.cli.inputs import Item, items
from service.cli.opened import ACTOR, opened
from service.cli.translate import FILE
from service.cli.translation import checked_resource, findings_of, is_resource
from service.errors import InvalidInput, NotFound, ServiceError
from service.references import with_references


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
def load(files: tuple[str, ...]) -> None:
    """Take patients, questionnaires and records of FILE into the store.

    FILE is JSON or NDJSON, records or FHIR, - is standard input. A patient is {"type": "Patient",
    "identifiers": [{"system": …, "value": …}]}. A record may come before what it refers to. One whose id is
    here already is left as it is.
    """
    refusals = terminal.Refusals()
    with opened() as store, ExitStack() as spools:
        loading = Loading(store.chart)
        spool = spools.enter_context(tempfile.TemporaryFile())
        waiting, before = loading.take(terminal.progressing("Loading", items(files)), spool, refusals), 0
        while waiting and waiting != before:
            later = spools.enter_context(tempfile.TemporaryFile())
            before, waiting = waiting, loading.take(_spooled(spool), later, refusals)
            spool.close()
            spool = later
        loading.give_up(_spooled(spool), refusals)
    counts = loading.counts
    terminal.say(f"{counts['new']} new, {counts['here']} here already, {refusals.count} refused")
    refusals.end(sum(counts.values()) + refusals.count)
    if refusals.count:
        end(FOUND)


class Loading:
    """One run: takes lines in, sets aside those that wait for another one, and counts."""

    def __init__(self, chart: Chart) -> None:
        self.counts: Counter[str] = Counter()
        self._chart = chart
        self._patients: dict[str, str] = {}

    def take(self, given: Iterable[Item], spool: IO[bytes], refusals: terminal.Refusals) -> int:
        """Store what can be stored; write what refers to something absent to the spool, and count it."""
        waiting = 0
        for item in given:
            try:
                self.counts[self._take(item)] += 1
            except (MappingError, InvalidResource, ServiceError) as error:
                found = findings_of(error)
                if found and all(finding.code == "not-found" for finding in found):
                    waiting += 1
                    spool.write(exact_json.dump([item.where, item.tree]).encode() + b"\n")
                else:
                    refusals.add(item.where, found)
        return waiting

    def give_up(self, given: Iterable[Item], refusals: terminal.Refusals) -> None:
        """Say of each what it lacks."""
        for item in given:
            try:
                self.counts[self._take(item)] += 1
            except (MappingError, InvalidResource, ServiceError) as error:
                refusals.add(item.where, findings_of(error))

    def _take(self, item: Item) -> str:
        if item.tree is None:
            raise InvalidInput(item.findings)
        if item.tree.get("type") == "Patient":
            return self._register(item.tree)
        tree = self._rewritten(_resource(item.tree))
        return self._store(tree)

    def _register(self, said: Tree) -> str:
        pairs = [_pair(index, one) for index, one in enumerate(_identifiers(said))]
        known = any(self._chart.find_patient(*pair) for pair in pairs)
        patient = self._chart.register_patient(pairs, ACTOR)
        if isinstance(said.get("id"), str) and said["id"] != patient.id:
            # They have another id here than where they were exported.
            self._patients[f"Patient/{said['id']}"] = f"Patient/{patient.id}"
        return "here" if known else "new"

    def _store(self, tree: Tree) -> str:
        record_id = tree.get("id") or made_id(tree)
        try:
            self._chart.get(tree["resourceType"], record_id)
        except NotFound:
            entry = self._chart.create(tree, ACTOR, record_id=record_id)
            return "new" if entry.id == record_id else "here"
        return "here"

    def _rewritten(self, tree: Tree) -> Tree:
        rewritten: Tree = with_references(tree, lambda one: self._patients.get(one, one))
        return rewritten


def _resource(said: Tree) -> Tree:
    if not is_resource(said):
        record = schemas.load(said)
        return BY_RECORD_TYPE[type(record).__name__].write(record)
    if said["resourceType"] != "Questionnaire":
        checked_resource(said)
    return said


def _identifiers(said: Tree) -> list[Any]:
    found = said.get("identifiers")
    unknown = said.keys() - {"type", "id", "identifiers"}
    if unknown:
        raise InvalidInput([Finding(f"Patient.{name[:80]}", "is not a field") for name in sorted(unknown)])
    if not isinstance(found, list) or not found:
        raise InvalidInput(Finding("Patient.identifiers", "has to be a list of system and value", "required"))
    return found


def _pair(index: int, identifier: Any) -> tuple[str, str]:
    if isinstance(identifier, dict) and identifier.keys() == {"system", "value"}:
        system, value = identifier["system"], identifier["value"]
        if isinstance(system, str) and isinstance(value, str) and value:
            return system, value
    raise InvalidInput(Finding(f"Patient.identifiers[{index}]", "has to be an object of system and value"))


def _spooled(spool: IO[bytes]) -> Iterator[Item]:
    spool.seek(0)
    for line in spool:
        where, tree = exact_json.parse(line)
        yield Item(where, tree)
