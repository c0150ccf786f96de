"""Whatever a server does with its Patients, nothing is written to one whom the table does not give."""

import contextlib
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy
from flask import Request, Response
from hypothesis import strategies as st

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import Chart, PatientRegister
from service.errors import ServiceError
from service.fhir_client import FHIRClient
from service.sandbox import create_sandbox
from service.store.database import Database
from service.store.tables import Deployment, Table
from service.sync.engine import Sync
from service.sync.match import MatchRules
from tests.clock import Clock
from tests.service.sync.in_process import BASE_URL, session_for
from tests.service.sync.match_oracle import Kept, Oracle, Someone
from tests.service.sync.registry import SYSTEM, Person, Registry

THERE = ["A", "B", "C", "D"]
NUMBERS = ["1", "2", "3", "4"]
SCRIPTS = 150


def capabilities(bundles: bool) -> Tree:
    """Say what little the server offers."""
    goals = {
        "type": "Goal",
        "interaction": [{"code": code} for code in ("create", "update", "search-type")],
        "searchParam": [{"name": "_lastUpdated"}],
        "conditionalCreate": True,
    }
    interaction = [{"code": "transaction"}, {"code": "batch"}] if bundles else []
    rest = {"mode": "server", "resource": [goals], "interaction": interaction}
    return {"resourceType": "CapabilityStatement", "rest": [rest]}


class World:
    """Two patients here, four there, and an oracle that sees every write."""

    def __init__(self, database: Database, bound: int, bundles: bool) -> None:
        self.clock = Clock()
        self.bound = timedelta(seconds=bound)
        self.registry = Registry({one: Person({number}) for one, number in zip("ABC", "123", strict=True)})
        self.registry.people["D"] = Person(set())
        self.app = create_sandbox(clock=self.clock, faults=self._before)
        self.session = session_for(self.app)
        self.statement = capabilities(bundles)
        self.chart = Chart(database, self.clock)
        self.register = PatientRegister(database, self.clock)
        self.sync = Sync(
            database,
            self.chart,
            lambda one: FHIRClient(one.base_url, session=self.session),
            self.clock,
            random.Random(3),
            match_rules=MatchRules(patients_for=self.bound),
        )
        for one in THERE:
            self._call("PUT", f"Patient/{one}", {"resourceType": "Patient", "id": one})
        self.is_watching = True
        self.sync.add_connection("ehr", BASE_URL)
        self.here: list[str] = []
        self.goals: dict[str, str] = {}
        self.oracle = Oracle(self.registry, self._copies_about)
        #: The last look that could have been believed since: whom it gave, and when.
        self.looks: dict[str, tuple[str, Any]] = {}
        self.given: dict[str, str | None] = {}
        self.wrong: list[str] = []
        self.tally: Counter[str] = Counter()
        for number in NUMBERS[:2]:
            self.add_patient({number})

    is_watching = False

    # What can happen there.

    def merge(self, old: str, into: str, carries: bool, moves: bool) -> None:
        """Merge a Patient away; moves: with what is about them."""
        if old != into:
            self.registry.people[old].into = into
            self.registry.people[old].is_active = False
            self.registry.people[into].names |= self.registry.people[old].names if carries else set()
            self._move_copies(old, into if moves else old)

    def part(self, old: str) -> None:
        self.registry.people[old].into = None
        self.registry.people[old].is_active = True

    def give(self, number: str, to: str, keeps: bool) -> None:
        """Have a number be somebody else's, too or instead."""
        for person in self.registry.people.values():
            person.names -= set() if keeps else {number}
        self.registry.people[to].names.add(number)

    def swap(self, one: str, other: str) -> None:
        first, second = self.registry.people[one], self.registry.people[other]
        first.names, second.names = second.names, first.names

    def turn(self, old: str, to: str) -> None:
        """Have who asks for a Patient be sent to another, or not any more."""
        self.registry.people[old].turned_to = None if old == to or self.registry.people[old].turned_to else to

    def switch(self, server_id: str, what: str) -> None:
        """Turn something about a Patient on or off."""
        person = self.registry.people[server_id]
        setattr(person, what, not getattr(person, what))

    def switch_search(self) -> None:
        self.registry.is_searchable = not self.registry.is_searchable

    def is_born(self, server_id: str) -> None:
        """Somebody there writes a goal."""
        subject = {"reference": f"Patient/{server_id}"}
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "theirs"}}
        self._call("POST", "Goal", {**goal, "subject": subject})

    # What can happen here.

    def add_patient(self, numbers: set[str]) -> None:
        names = [(SYSTEM, number) for number in sorted(numbers)]
        here = self.chart.register_patient(names, "nurse", also=True).id
        if here not in self.here:
            self.here.append(here)
            self.oracle.people[here] = Someone(set(numbers))
            self.say(len(self.here) - 1)
        self._renamed(here)

    def say(self, who: int) -> None:
        """Write a goal, or change all that somebody has."""
        here = self.here[who % len(self.here)]
        subject = {"reference": f"Patient/{here}"}
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "subject": subject}
        self.chart.create({**goal, "description": {"text": "ours"}}, "nurse")
        for entry in self.chart.search("Goal", patient=here).entries:
            text = {"text": f"at {self.clock()}, {uuid.uuid4()}"}
            self.chart.replace(entry.id, {**entry.tree, "description": text}, "nurse")

    def correct(self, who: int, number: str) -> None:
        """Have somebody be called by another number, in the place of one they have."""
        here = self.here[who % len(self.here)]
        old = min(self.oracle.people[here].names)
        self.register.correct_identifier(here, (SYSTEM, old), (SYSTEM, number), "nurse", also=True)
        self._renamed(here)

    def add_number(self, who: int, number: str) -> None:
        here = self.here[who % len(self.here)]
        self.register.add_identifier(here, (SYSTEM, number), "nurse", also=True)
        self._renamed(here)

    def remove_number(self, who: int) -> None:
        here = self.here[who % len(self.here)]
        old = max(self.oracle.people[here].names)
        self.register.remove_identifier(here, (SYSTEM, old), "nurse")
        self._renamed(here)

    def _renamed(self, here: str) -> None:
        someone = self.oracle.people[here]
        names = {value for _, value in self.chart.patient(here).identifiers}
        if names != someone.names:
            someone.names, someone.is_new = names, True
            self.looks.pop(here, None)

    def name(self, who: int, server_id: str) -> None:
        """A person says who somebody is there."""
        here = self.here[who % len(self.here)]
        self.sync.match_patient(here, server_id, "ehr", "registrar")
        person = self.registry.sight(server_id)
        assert isinstance(person, Person)
        assert person.is_active
        assert person.into is None
        someone = self.oracle.people[here]
        someone.kept, someone.is_new = Kept(server_id, True, frozenset(person.names)), False
        self.looks[here] = (server_id, self.clock())

    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    def synchronise(self, how: str) -> None:
        """Let the service do its work, and see that it kept to the table."""
        self.registry.forget()
        self._look_round()
        self.given = {here: self.oracle.given(here) for here in self.here}
        getattr(self.sync, how)()
        for here in self.here:
            self._learn(here)

    def _look_round(self) -> None:
        """See how everybody stands as is told in public, and who was just looked for by all their numbers."""
        for here, someone in self.oracle.people.items():
            matches = self.sync.matches(here)
            someone.standing = (matches[0].reason or matches[0].state) if matches else ""
            is_searched = someone.kept is None or someone.is_new
            someone.claims = is_searched and someone.names <= self.registry.sought

    def _learn(self, here: str) -> None:
        """Take down how somebody is matched after a run; another Patient than before has to be given."""
        someone = self.oracle.people[here]
        matches = self.sync.matches(here)
        if not matches or matches[0].state != "matched":
            return
        server_id = str(matches[0].server_id)
        kept, given = someone.kept, self.given[here]
        carried = frozenset(self.registry.people[server_id].names & someone.names)
        if kept is None or kept.server_id != server_id:
            if given != server_id:
                self.wrong.append(f"{here} came to be matched to {server_id}, and not to {given}")
            someone.kept, someone.is_new = Kept(server_id, False, carried), False
            self.looks[here] = (server_id, self.clock())
        elif given == server_id and server_id in self.registry.shown:
            # Whoever has other numbers here is looked for by all of them.
            was_looked_for = someone.names <= self.registry.sought
            if not someone.is_new or was_looked_for:
                someone.is_new = False
                kept.shown = kept.shown if kept.by_person else carried
                self.looks[here] = (server_id, self.clock())

    # What the server sees.

    def _before(self, request: Request) -> Response | None:
        if not self.is_watching:
            return None
        if request.path.endswith("/metadata"):
            return Response(exact_json.dump(self.statement), content_type="application/fhir+json")
        answer = self.registry.answer(request)
        if answer is None and request.method in ("POST", "PUT"):
            self._judge(exact_json.parse(request.get_data()))
        return answer

    def _judge(self, body: Tree) -> None:
        entries = body["entry"] if body["resourceType"] == "Bundle" else [{"resource": body}]
        for entry in entries:
            goal = entry["resource"]
            here, subject = self._owner(goal), goal["subject"]["reference"].removeprefix("Patient/")
            self._look_round()
            self.tally["writes"] += 1
            if subject != self.oracle.given(here) and not self._is_believed(here, subject):
                self.wrong.append(f"a goal of {here} was written to {subject}, not {self.oracle.given(here)}")

    def _is_believed(self, here: str, server_id: str) -> bool:
        """Tell whether a look less than a bound ago gave this Patient."""
        last = self.looks.get(here)
        return last is not None and last[0] == server_id and self.clock() - last[1] < self.bound

    def _owner(self, goal: Tree) -> str:
        """Return whose record a goal is here."""
        rows, _ = self.sync.status(limit=500)
        values = [one["value"] for one in goal.get("identifier", [])]
        is_it = (row for row in rows if row.record_id in values or row.server_id == goal.get("id", ""))
        return str(next(is_it).patient_id)

    def _copies_about(self, here: str) -> set[str | None]:
        rows, _ = self.sync.status(limit=500)
        ids = {row.server_id for row in rows if row.patient_id == here and row.server_id}
        goals = self.app.extensions["mainstay_sandbox"].store.all_living("Goal")
        return {one.tree["subject"]["reference"].removeprefix("Patient/") for one in goals if one.id in ids}

    def _move_copies(self, old: str, into: str) -> None:
        for one in self.app.extensions["mainstay_sandbox"].store.all_living("Goal"):
            if one.tree["subject"]["reference"] == f"Patient/{old}" and old != into:
                moved = {**one.tree, "subject": {"reference": f"Patient/{into}"}}
                self._call("PUT", f"Goal/{one.id}", moved)

    def _call(self, method: str, path: str, body: Tree) -> None:
        """Act as the people there do."""
        was, self.is_watching = self.is_watching, False
        headers = {"Content-Type": "application/fhir+json"}
        answer = self.session.request(
            method, f"{BASE_URL}/{path}", data=exact_json.dump(body).encode(), headers=headers
        )
        assert answer.ok, answer.text
        self.is_watching = was


def step(act: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(act), *arguments)


PATIENT, NUMBER, WHO, EITHER = (
    st.sampled_from(THERE),
    st.sampled_from(NUMBERS),
    st.integers(0, 2),
    st.booleans(),
)
WHAT = st.sampled_from(["is_active", "is_gone", "is_hidden", "is_forbidden", "fails"])
STEPS = st.one_of(
    step("merge", PATIENT, PATIENT, EITHER, EITHER),
    step("part", PATIENT),
    step("give", NUMBER, PATIENT, EITHER),
    step("swap", PATIENT, PATIENT),
    step("turn", PATIENT, PATIENT),
    step("switch", PATIENT, WHAT),
    step("switch_search"),
    step("is_born", PATIENT),
    step("add_patient", st.sets(NUMBER, min_size=1, max_size=2)),
    step("correct", WHO, NUMBER),
    step("add_number", WHO, NUMBER),
    step("remove_number", WHO),
    step("name", WHO, PATIENT),
    step("wait", st.sampled_from([60, 1800, 4000])),
)
SYNC = st.sampled_from(["push", "push", "pull", "run", "compare"])
#: Something happens a few times, then somebody says something, and all is synchronised.
ROUND = st.tuples(st.lists(STEPS, max_size=4), st.lists(WHO, max_size=2), SYNC)


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Database]:
    """A database that need not survive anything, and so is quick."""
    database = Database(f"sqlite:///{tmp_path / 'mainstay.db'}")
    sqlalchemy.event.listen(database.engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
    with contextlib.closing(database):
        database.upgrade()
        yield database


def emptied(database: Database) -> Database:
    """Return a database with nothing in it but what it is called."""
    with database.begin() as session:
        for table in reversed(Table.metadata.sorted_tables):
            if table.name != Deployment.__tablename__:
                session.execute(sqlalchemy.delete(table))
    return database


def test_nothing_is_written_to_whom_the_table_does_not_give(careless: Database) -> None:
    tally: Counter[str] = Counter()

    @hypothesis.settings(max_examples=SCRIPTS, print_blob=True)
    @hypothesis.given(st.lists(ROUND, min_size=1, max_size=5), st.sampled_from([0, 0, 3600]), st.booleans())
    def play(rounds: list[Any], bound: int, bundles: bool) -> None:
        world = World(emptied(careless), bound, bundles)
        for steps, sayings, how in rounds:
            for act, *arguments in steps:
                try:
                    getattr(world, act)(*arguments)
                except ServiceError:
                    world.tally["refused here"] += 1
            for who in sayings:
                world.say(who)
            world.synchronise(how)
            world.wait(61)
        tally.update(world.tally)
        assert not world.wrong, world.wrong

    play()
    # It would be easy to write nothing.
    assert tally["writes"] > 2 * SCRIPTS
