"""mainstay load: NDJSON into the store, in any order, and doubling nothing when done again."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import click

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import address_in, references, with_literals
from fhir_mappings.resources import BY_RECORD_TYPE
from service import schemas
from service.chart import Chart
from service.cli import terminal
from service.cli.bundle_entries import made_id
from service.cli.deferred_lines import Waiting
from service.cli.exits import FOUND, end
from service.cli.inputs import Item, items
from service.cli.opened import ACTOR, opened
from service.cli.said_names import SaidNames
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
    here already is left as it is. An id that two lines give to different persons or records names neither.
    """
    refusals = terminal.Refusals()
    with opened() as components, tempfile.TemporaryFile() as spool, closing(SaidNames()) as names:
        loading = Loading(components.chart, Waiting(spool), names)
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

    def __init__(self, chart: Chart, waiting: Waiting, names: SaidNames) -> None:
        self.counts: Counter[str] = Counter()
        self._chart = chart
        self._waiting = waiting
        self._names = names

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
            return self._patient(item.tree, item.where)
        tree = _resource(item.tree)
        self._require_one_meaning(tree, item.where)
        taken = self._store(self._rewritten(tree))
        if taken.outcome == "new":
            self._note_patients(tree, item.where)
        return taken

    def _note_patients(self, tree: Tree, where: str) -> None:
        """Note whom a record was stored with by their ids here; no later line can say that it was another."""
        for spot in references(tree):
            address = spot.address
            if address is not None and address.resource_type == "Patient":
                self._names.say_first(str(address), address.id, where)

    def _patient(self, said: Tree, where: str) -> Taken:
        """Register a patient, who may have another id here than where they were exported."""
        name = f"Patient/{said['id']}" if isinstance(said.get("id"), str) else None
        try:
            pairs = [_pair(index, one) for index, one in enumerate(_identifiers(said))]
            owners = {patient.id for pair in pairs if (patient := self._chart.find_patient(*pair))}
            if name is not None and self._names.meaning(name) not in {None, *owners}:
                # Who is not here yet is not the one whom an earlier line means.
                self._names.say(name, "", where)
            if name is not None:
                self._require_undisputed(name, "Patient.id")
            patient = self._chart.register_patient(pairs, ACTOR, also=said.get("also") is True)
        except ServiceError:
            if name is not None:
                # Whom the line means nobody knows: nobody else can be meant either.
                self._names.say(name, f"refused: {where}", where)
            raise
        names = [f"Patient/{patient.id}", *[_name(*pair) for pair in pairs]]
        if name is not None:
            self._names.say(name, patient.id, where)
            names.append(name)
        return Taken("here" if owners else "new", names)

    def _require_one_meaning(self, tree: Tree, where: str) -> None:
        """Raise InvalidInput for a record whose id is another one's in this run, or that names such an id."""
        if isinstance(tree.get("id"), str):
            name = f"{tree['resourceType']}/{tree['id']}"
            self._names.say(name, _digest(tree), where)
            self._require_undisputed(name, f"{tree['resourceType']}.id")
        for spot in references(tree):
            self._require_undisputed(_called(spot.literal or ""), spot.path)

    def _require_undisputed(self, name: str, path: str) -> None:
        places = self._names.disputed(name)
        if places is not None:
            raise InvalidInput(Finding(path, f"is an id that two have: {places}", "conflict"))

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
        rewritten: Tree = with_literals(tree, self._named_here)
        return rewritten

    def _named_here(self, literal: str) -> str:
        name = _called(literal)
        meaning = self._names.meaning(name) if name.startswith("Patient/") else None
        return literal if meaning is None or name == f"Patient/{meaning}" else f"Patient/{meaning}"


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


def _called(literal: str) -> str:
    """Return a relative reference as ``Type/id``: a version is the same person or record."""
    address = address_in(literal)
    return str(address) if address else literal


def _digest(tree: Tree) -> str:
    """Return what a record says, in short; not what a server notes of its own in meta."""
    content = {name: value for name, value in tree.items() if name != "meta"}
    return hashlib.sha256(exact_json.dump(content).encode()).hexdigest()
