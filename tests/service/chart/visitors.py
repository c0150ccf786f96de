"""Two patients, here and on a server, and what people and servers say of them: right, wrong or both."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from sqlalchemy import select, text

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.chart import Chart, PatientRegister
from service.config import Config
from service.fhir_client.client import FHIRClient
from service.store import tables
from service.store.database import Database
from service.sync.engine import Sync
from tests import builders
from tests.clock import Clock
from tests.databases import contents
from tests.service.routes.caller import GUARDED, Api, published_keys, token

Name = tuple[str, str]
T = TypeVar("T")

SYSTEM = "https://town.example/people"
PEOPLE = ("ann", "bob")
#: Called so nowhere.
NOBODY: Tree = {"system": SYSTEM, "value": "nobody"}
ORDER = [table for table in reversed(tables.Table.metadata.sorted_tables) if table.name != "deployment"]


class Chosen:
    """What is chosen where there is a choice: numbers that were drawn before anything happened.

    So a run that went wrong goes wrong again, whatever ids the records have got.
    """

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = iter(numbers)

    def of(self, options: Sequence[T]) -> T:
        return options[next(self._numbers, 0) % len(options)]

    def yes(self, in_: int = 2) -> bool:
        return next(self._numbers, 0) % in_ == 0


class World:
    """ids: our ids of the two, merged or not. there: their Patients on the server."""

    def __init__(self, url: str, database: Database, base_url: str) -> None:
        self.url, self.database, self.base_url = url, database, base_url
        self.clock = Clock()
        self.chart = Chart(database, self.clock)
        self.register = PatientRegister(database, self.clock)
        self.sync = Sync(database, self.chart, lambda one: FHIRClient(one.base_url), self.clock)
        self.app = create_app(
            Config(**GUARDED), database=database, clock=self.clock, fetch_keys=published_keys
        )
        self.ids: dict[str, str] = {}
        self.there: dict[str, str] = {}
        #: What was there before a door that does several things was asked the last of them.
        self.before: dict[str, Any] = {}

    def begin(self) -> None:
        """Empty the database, and have both live here and there with a goal and a plan each."""
        with self.database.begin() as session:
            for table in ORDER:
                session.execute(table.delete())
        for one in PEOPLE:
            self.ids[one] = self.chart.register_patient([(SYSTEM, f"{one}-{uuid.uuid4()}")], "nurse").id
            self.there[one] = self._post({"resourceType": "Patient", "identifier": [self.identifier(one)]})[
                "id"
            ]
            for kind in sorted(builders.TREES):
                self.chart.create(builders.TREES[kind](self.ids[one]), "nurse")
            goal = self.chart.create(builders.goal(self.ids[one]), "nurse").id
            self.chart.create(
                builders.care_plan(self.ids[one], goal=[{"reference": f"Goal/{goal}"}]), "nurse"
            )
        self.sync.add_connection("ehr", self.base_url)
        self.sync.run()

    def identifier(self, one: str) -> Tree:
        system, value = self.called(one)
        return {"system": system, "value": value}

    def called(self, one: str) -> Name:
        """Return an identifier by which one of the two is found by now."""
        return self.chart.patient(self.living(one)).identifiers[0]

    def living(self, one: str) -> str:
        """Return our id of who has the records of one of the two by now."""
        patient = self.chart.patient(self.ids[one])
        return patient.merged_into or patient.id

    @staticmethod
    def new_id() -> str:
        return f"n{uuid.uuid4().hex}"

    # What is said.

    def person(self, chosen: Chosen) -> str:
        return chosen.of(PEOPLE)

    def name(self, chosen: Chosen) -> Name:
        fresh = (SYSTEM, self.new_id())
        nobodys = (SYSTEM, NOBODY["value"])
        return chosen.of([fresh, nobodys, *map(self.called, PEOPLE)])

    def record(self, chosen: Chosen) -> tuple[str, str]:
        """Return id and type of a record, whoever's."""
        with self.database.read() as session:
            query = select(tables.Record.id, tables.Record.resource_type).where(
                tables.Record.patient_id.is_not(None)
            )
            rows = session.execute(query.order_by(text("records.rowid"))).all()
        record_id, kind = chosen.of(rows)
        return record_id, kind

    def next_version(self, chosen: Chosen) -> Tree:
        """Return what somebody puts in the place of a record; mostly it is about whom the record is about."""
        record_id, kind = self.record(chosen)
        owner = self._row(record_id).patient_id
        theirs = next(one for one in PEOPLE if self.living(one) == owner)
        return {**self.tree(chosen, kind, None if chosen.yes(4) else theirs), "id": record_id}

    def tree(self, chosen: Chosen, kind: str | None = None, about: str | None = None) -> Tree:
        """Return a resource in our words about one of the two, as people or servers may say it."""
        one = about or self.person(chosen)
        addresses = {name: f"Patient/{self.living(name)}" for name in PEOPLE}
        others = self._records_said(chosen)
        return self._tree(chosen, kind or chosen.of(sorted(builders.TREES)), one, addresses, others)

    def _tree(
        self, chosen: Chosen, kind: str, one: str, addresses: dict[str, str], others: list[str]
    ) -> Tree:
        tree = builders.TREES[kind](subject=self._said(chosen, one, addresses))
        speaker = {"Goal": "expressedBy", "CarePlan": "author", "QuestionnaireResponse": "source"}.get(kind)
        if speaker and chosen.yes():
            tree[speaker] = self._said(chosen, self.person(chosen), addresses)
        if kind == "CarePlan" and chosen.yes():
            tree["goal"] = [{"reference": address} for address in others]
        if chosen.yes(4):
            said = self._said(chosen, one, addresses)
            tree["contained"] = [
                {"resourceType": "ServiceRequest", "id": "c", "status": "active", "intent": "plan"}
            ]
            tree["contained"][0]["subject"] = said
            tree["extension"] = [{"url": "https://x.example", "valueReference": {"reference": "#c"}}]
        return tree

    def _said(self, chosen: Chosen, one: str, addresses: dict[str, str]) -> Tree:
        """Return how a person may be said; half of it is right."""
        other = next(name for name in PEOPLE if name != one)
        address, mine, theirs = addresses[one], self.identifier(one), self.identifier(other)
        right: list[Tree] = [
            {"reference": address},
            {"identifier": mine},
            {"type": "Patient", "identifier": mine},
            {"reference": address, "identifier": mine},
            {"reference": f"{address}/_history/1"},
        ]
        wrong: list[Tree] = [
            {"reference": addresses[other]},
            {"reference": address, "identifier": theirs},
            {"reference": addresses[other], "identifier": mine},
            {"reference": f"Patient?identifier={SYSTEM}|{self.called(other)[1]}"},
            {"reference": f"Patient/{self.ids[one]}"},
            {"reference": f"{self.base_url}/Patient/{self.there[other]}"},
            {"reference": "Group/1"},
            {"display": one},
        ]
        # Wrong if people say it; a server may know somebody by what is not registered here.
        unregistered: Tree = {"reference": address, "identifier": NOBODY}
        return dict(chosen.of([*right * 6, *wrong, *[unregistered] * 5]))

    def _records_said(self, chosen: Chosen) -> list[str]:
        record_id, _ = self.record(chosen)
        with self.database.read() as session:
            copies = session.scalars(
                select(tables.Link.server_id).where(tables.Link.record_id == record_id)
            ).all()
        there = [f"{self.base_url}/Goal/{copy}" for copy in copies if copy]
        said = [f"Goal/{record_id}", "Goal/none", f"Goal?identifier=x|{record_id}", *there]
        return [chosen.of(said)]

    def api(self, chosen: Chosen) -> Api:
        """Return the service as everyone sees it, or who is confined to one patient."""
        confined = chosen.of([None, None, *PEOPLE])
        return Api(self.app, token(patient=confined and self.living(confined), now=self.clock()))

    def etag(self, record_id: str) -> str:
        with self.database.read() as session:
            return f'W/"{session.get_one(tables.Record, record_id).version}"'

    # What happens there.

    def change_there(self, chosen: Chosen) -> None:
        """Have a resource come up or be changed there, and say its subject in one of many ways."""
        self.clock.advance(seconds=600)
        address = {name: f"Patient/{server_id}" for name, server_id in self.there.items()}
        absolute = {name: f"{self.base_url}/{one}" for name, one in address.items()}
        elsewhere = {name: f"https://alias.example/fhir/{one}" for name, one in address.items()}
        addresses = chosen.of([address, address, absolute, elsewhere])
        copies = self._copies()
        known = chosen.of([None, *copies]) if copies else None
        kind = known[0] if known else chosen.of(sorted(builders.TREES))
        tree = self._tree(chosen, kind, self.person(chosen), addresses, [])
        if known is None:
            requests.post(f"{self.base_url}/{kind}", json=_plain(tree), timeout=20)
        else:
            url = f"{self.base_url}/{kind}/{known[1]}"
            requests.put(url, json=_plain({**tree, "id": known[1]}), timeout=20)

    def move_there(self, chosen: Chosen) -> None:
        """Have a copy be the other one's there."""
        self.clock.advance(seconds=600)
        copies = self._copies()
        if not copies:
            return
        kind, server_id = chosen.of(copies)
        url = f"{self.base_url}/{kind}/{server_id}"
        tree = requests.get(url, timeout=20).json()
        if tree.get("resourceType") == kind:
            subject = {"reference": f"Patient/{self.there[self.person(chosen)]}"}
            requests.put(url, json={**tree, "subject": subject}, timeout=20)

    def change_both(self, chosen: Chosen) -> None:
        """Have a copy be changed there, and its record here: in the same place, or in another one."""
        self.clock.advance(seconds=600)
        linked = [one for one in self._linked() if self._row(one[0]).set_aside is None]
        if not linked:
            return
        record_id, kind, server_id = chosen.of(linked)
        url = f"{self.base_url}/{kind}/{server_id}"
        there = requests.get(url, timeout=20).json()
        if there.get("resourceType") == kind:
            addresses = {name: f"Patient/{patient}" for name, patient in self.there.items()}
            said = self._tree(chosen, kind, self.person(chosen), addresses, [])
            others: Tree = {
                name: said[name]
                for name in ("contained", "extension", "expressedBy", "author", "source")
                if name in said
            }
            language = {"language": "de"} if chosen.yes() else {}
            requests.put(url, json=_plain({**there, **others, **language}), timeout=20)
        self.before = contents(self.database)
        self.chart.replace(
            record_id, {**exact_json.parse(self._row(record_id).tree), "language": "fr"}, "nurse"
        )

    def refusable(self, act: Callable[[], Any]) -> None:
        """Do the last thing that a door does, after what came before it has changed something."""
        self.before = contents(self.database)
        act()

    @contextmanager
    def spoiled(self, chosen: Chosen) -> Iterator[None]:
        """Have a row hold, for a while, what may be unlawful."""
        if chosen.yes():
            yield
            return
        record_id, kind = self.record(chosen)
        tree = {**self.tree(chosen, kind), "id": record_id}
        row = self._row(record_id)
        self._overwrite(record_id, exact_json.dump(tree))
        try:
            yield
        finally:
            self._overwrite(record_id, row.tree)

    def _overwrite(self, record_id: str, text: str) -> None:
        with self.database.begin() as session:
            row = session.get_one(tables.Record, record_id)
            row.tree = text
            session.get_one(tables.Version, (record_id, row.version)).tree = text

    def _row(self, record_id: str) -> tables.Record:
        with self.database.read() as session:
            return session.get_one(tables.Record, record_id)

    def _linked(self) -> list[tuple[str, str, str]]:
        with self.database.read() as session:
            link = tables.Link
            query = select(link.record_id, link.resource_type, link.server_id).where(
                link.server_id.is_not(None)
            )
            rows = session.execute(query.order_by(link.updated_at, link.server_id))
            return [(record_id, kind, there) for record_id, kind, there in rows if there is not None]

    def _copies(self) -> list[tuple[str, str]]:
        return [(kind, server_id) for _, kind, server_id in self._linked()]

    def _post(self, tree: Tree) -> Tree:
        answer = requests.post(f"{self.base_url}/{tree['resourceType']}", json=tree, timeout=20)
        assert answer.ok, answer.text
        body: Tree = answer.json()
        return body


def _plain(tree: Any) -> Any:
    """Return a tree with numbers that the standard library's JSON can say."""
    if isinstance(tree, dict):
        return {name: _plain(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    return tree if isinstance(tree, str | bool | int) or tree is None else float(tree)
