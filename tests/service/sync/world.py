"""Two patients here, four there, all that can happen to them, and an oracle that sees every write."""

import random
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

from flask import Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import Chart, PatientRegister
from service.chart.queries import RecordQuery
from service.fhir_client.client import FHIRClient
from service.sandbox import create_sandbox
from service.store.database import Database
from service.sync.engine import Sync
from service.sync.identity.matching import MatchRules
from tests.clock import Clock
from tests.service.sync.identity.match_oracle import Kept, Oracle, Someone
from tests.service.sync.in_process import BASE_URL, session_for
from tests.service.sync.registry import SYSTEM, Person, Registry

THERE = ["A", "B", "C", "D"]
NUMBERS = ["1", "2", "3", "4"]


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
        """Write a goal or two, or change one that is there."""
        here = self.here[who % len(self.here)]
        entries = self.chart.find(RecordQuery(resource_type="Goal", patient=here)).entries
        if len(entries) < 2:
            subject = {"reference": f"Patient/{here}"}
            goal = {"resourceType": "Goal", "lifecycleStatus": "active", "subject": subject}
            self.chart.create({**goal, "description": {"text": "ours"}}, "nurse")
        for entry in entries[:1]:
            text = {"text": f"at {self.clock()}, {uuid.uuid4()}"}
            self.chart.replace(entry.id, {**entry.tree, "description": text}, "nurse")

    def correct(self, who: int, number: str) -> None:
        """Have somebody be called by another number, in the place of one they have."""
        here = self.here[who % len(self.here)]
        old = min(self.oracle.people[here].names)
        self.register.correct_identifier(here, (SYSTEM, old), (SYSTEM, number), "nurse", also=True)
        # Who says the same again has said something, too.
        self._renamed(here, said_anew=old == number)

    def add_number(self, who: int, number: str) -> None:
        here = self.here[who % len(self.here)]
        self.register.add_identifier(here, (SYSTEM, number), "nurse", also=True)
        self._renamed(here)

    def remove_number(self, who: int) -> None:
        here = self.here[who % len(self.here)]
        old = max(self.oracle.people[here].names)
        self.register.remove_identifier(here, (SYSTEM, old), "nurse")
        self._renamed(here)

    def _renamed(self, here: str, *, said_anew: bool = False) -> None:
        someone = self.oracle.people[here]
        names = {value for _, value in self.chart.patient(here).identifiers}
        if names != someone.names or said_anew:
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

    def calm_down(self) -> None:
        """Let all of it rest for hours, and see that whom the table gives is matched in the end."""
        for _ in range(3):
            self.wait(4000)
            for who in range(len(self.here)):
                self.say(who)
            self.synchronise("run")
        self._look_round()
        for here in self.here:
            given, someone = self.oracle.given(here), self.oracle.people[here]
            self.tally["given"] += given is not None
            if given is not None and (someone.standing != "matched" or self.matched(here) != given):
                self.wrong.append(f"{here} is given {given}, but {someone.standing} {self.matched(here)}")

    def matched(self, here: str) -> str | None:
        return self.sync.matches(here)[0].server_id

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
