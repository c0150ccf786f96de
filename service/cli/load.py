"""mainstay load: NDJSON into the store, in any order, and doubling nothing when done again."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import click

from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import references, with_literals
from fhir_mappings.resources import BY_RECORD_TYPE
from service import schemas
from service.chart import Chart
from service.cli import terminal
from service.cli.bundle_entries import made_id
from service.cli.deferred_lines import Waiting
from service.cli.exits import FOUND, end
from service.cli.inputs import Item, items
from service.cli.opened import ACTOR, opened
from service.cli.translate import FILE
from service.cli.translation import findings_of, is_resource
from service.errors import InvalidInput, NotFound, ServiceError
from service.translation import mapping_for


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
def load(files: tuple[str, ...]) -> None:
    """Take patients, questionnaires and records of FILE into the store.

    FILE is JSON or NDJSON, records or FHIR, - is standard input. A patient is {"type": "Patient",
    "identifiers": [{"system": …, "value": …}]}. A record may come before what it refers to. One whose id is
    here already is left as it is.
    """
    refusals = terminal.Refusals()
    with opened() as components, tempfile.TemporaryFile() as spool:
        loading = Loading(components.chart, Waiting(spool))
        loading.take(terminal.progressing("Loading", items(files)), refusals)
        loading.give_up(refusals)
    counts = loading.counts
    terminal.say(f"{counts['new']} new, {counts['here']} here already, {refusals.count} refused")
    refusals.end(sum(counts.values()) + refusals.count)
    if refusals.count:
        end(FOUND)


class Taken(NamedTuple):
    """What became of a line: new or here already; names: by which other lines refer to it."""

    outcome: str
    names: Sequence[str]


class Loading:
    """One run: takes lines in, sets aside those that wait for another one, and counts."""

    def __init__(self, chart: Chart, waiting: Waiting) -> None:
        self.counts: Counter[str] = Counter()
        self._chart = chart
        self._waiting = waiting
        self._patients: dict[str, str] = {}

    def take(self, given: Iterable[Item], refusals: terminal.Refusals) -> None:
        """Store what can be stored; what refers to something absent is stored once that is here."""
        for item in given:
            self._with_those_that_waited(item, refusals, set_aside=True)

    def give_up(self, refusals: terminal.Refusals) -> None:
        """Say of each line that still waits what it lacks."""
        for item in self._waiting.left():
            self._with_those_that_waited(item, refusals, set_aside=False)

    def _with_those_that_waited(self, item: Item, refusals: terminal.Refusals, *, set_aside: bool) -> None:
        # One line at a time, for a whole file may have waited for one patient.
        ready = [iter([item])]
        while ready:
            following = next(ready[-1], None)
            if following is None:
                ready.pop()
            else:
                names = self._tried(following, refusals, set_aside=set_aside)
                ready.extend(self._waiting.found(name) for name in names)

    def _tried(self, item: Item, refusals: terminal.Refusals, *, set_aside: bool) -> Sequence[str]:
        """Take one line, or set it aside, or refuse it; return the names by which it is here now."""
        try:
            taken = self._take(item)
        except (MappingError, InvalidResource, ServiceError) as error:
            found = findings_of(error)
            if set_aside and found and all(finding.code == "not-found" for finding in found):
                self._waiting.add(item, self._lacking(item, found))
            else:
                refusals.add(item.where, found)
            return ()
        self.counts[taken.outcome] += 1
        return taken.names

    def _lacking(self, item: Item, findings: Iterable[Finding]) -> list[str]:
        """Return the names of what was not found, as far as the elements that lack it say them."""
        tree = self._rewritten(_resource(item.tree or {}))
        paths = {finding.path for finding in findings}
        names = []
        for spot in references(tree):
            if spot.path in paths and spot.address is not None:
                names.append(str(spot.address))
            elif spot.name is not None and paths & {spot.path, f"{spot.path}.identifier"}:
                names.append(_name(*spot.name))
        return names

    def _take(self, item: Item) -> Taken:
        if item.tree is None:
            raise InvalidInput(item.findings)
        if item.tree.get("type") == "Patient":
            return self._register(item.tree)
        tree = self._rewritten(_resource(item.tree))
        return self._store(tree)

    def _register(self, said: Tree) -> Taken:
        pairs = [_pair(index, one) for index, one in enumerate(_identifiers(said))]
        known = any(self._chart.find_patient(*pair) for pair in pairs)
        patient = self._chart.register_patient(pairs, ACTOR, also=said.get("also") is True)
        names = [f"Patient/{patient.id}", *[_name(*pair) for pair in pairs]]
        if isinstance(said.get("id"), str) and said["id"] != patient.id:
            # They have another id here than where they were exported.
            self._patients[f"Patient/{said['id']}"] = f"Patient/{patient.id}"
            names.append(f"Patient/{said['id']}")
        return Taken("here" if known else "new", names)

    def _store(self, tree: Tree) -> Taken:
        record_id = tree.get("id") or made_id(tree)
        names = [f"{tree['resourceType']}/{record_id}"]
        try:
            self._chart.get(tree["resourceType"], record_id)
        except NotFound:
            entry = self._chart.create(tree, ACTOR, record_id=record_id)
            return Taken("new" if entry.id == record_id else "here", names)
        return Taken("here", names)

    def _rewritten(self, tree: Tree) -> Tree:
        rewritten: Tree = with_literals(tree, lambda one: self._patients.get(one, one))
        return rewritten


def _resource(said: Tree) -> Tree:
    if not is_resource(said):
        record = schemas.load(said)
        return BY_RECORD_TYPE[type(record).__name__].write(record)
    if said["resourceType"] != "Questionnaire":
        mapping_for(said)
    return said


def _identifiers(said: Tree) -> list[Any]:
    found = said.get("identifiers")
    unknown = said.keys() - {"type", "id", "identifiers", "also"}
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


def _name(system: Any, value: Any) -> str:
    """Return the name by which a line refers to a patient of that identifier."""
    return f"{system}|{value}"
