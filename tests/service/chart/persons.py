"""A small town: Ann and Bob, who may turn out to be one person, Cid, and all that names them."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import Chart, PatientRegister
from service.chart.ownership import Origin
from service.chart.writes import Change
from service.store import tables
from service.store.database import Database
from tests import builders
from tests.clock import Clock
from tests.databases import MOMENT, connect, contents

ANNS, BOBS, CIDS = (builders.CLINIC, "A-1"), (builders.CLINIC, "B-1"), (builders.CLINIC, "C-1")
#: A second number of Ann's.
NATIONAL = ("urn:oid:2.16.840.1.113883.4.1", "77")
#: What a server calls Ann; nobody is registered so here.
UNREGISTERED = ("urn:oid:9.9", "ann at the lab")


def identifier(name: tuple[str, str]) -> Tree:
    return {"system": name[0], "value": name[1]}


class Town:
    """Who lives here, and their records by name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.chart = Chart(database, clock)
        self.register = PatientRegister(database, clock)
        self.clinic, self.lab = connect(database), connect(database, "lab")
        self.ann = self.chart.register_patient([ANNS, NATIONAL], "nurse").id
        self.bob = self.chart.register_patient([BOBS], "nurse").id
        self.cid = self.chart.register_patient([CIDS], "nurse").id
        self._records()
        self._conflicts()
        self._answers()
        self._matches()

    def says(self, patient: str, *name: tuple[str, str]) -> Tree:
        """Return a reference to a patient, by address and, maybe, by identifier."""
        return {"reference": f"Patient/{patient}"} | ({"identifier": identifier(name[0])} if name else {})

    def tree(self, record_id: str) -> Tree:
        with self.database.read() as session:
            tree: Tree = exact_json.parse(session.get_one(tables.Record, record_id).tree)
            return tree

    def trees(self) -> dict[str, Tree]:
        with self.database.read() as session:
            return {row.id: exact_json.parse(row.tree) for row in session.scalars(select(tables.Record))}

    def owners(self) -> dict[str, str | None]:
        with self.database.read() as session:
            return {row.id: row.patient_id for row in session.scalars(select(tables.Record))}

    def sides(self, conflict: str) -> dict[str, Tree]:
        with self.database.read() as session:
            row = session.get_one(tables.ConflictRow, conflict)
            return {name: exact_json.parse(getattr(row, name)) for name in ("base", "here", "there")}

    def content(self) -> dict[str, Any]:
        """Return what is said in all tables, but not how often, nor what has yet to be looked at there."""
        left_out = {
            "records": {"version", "updated_at"},
            "conflicts": {"here_version"},
            "links": {"state", "reason", "next_step", "updated_at"},
            "patient_links": {"state", "reason", "is_stale", "checked_at", "claimed_id"},
        }
        apart = {"history", "patient_history", "match_history", "outbox", "watermarks", "reference_links"}
        rows = contents(self.database)
        said: dict[str, Any] = {}
        for name, table in tables.Table.metadata.tables.items():
            if name not in apart:
                kept = [
                    n for n, column in enumerate(table.columns) if column.name not in left_out.get(name, ())
                ]
                said[name] = sorted((tuple(row[n] for n in kept) for row in rows[name]), key=repr)
        return said

    def _records(self) -> None:
        ann, bob, cid = self.ann, self.bob, self.cid
        create = self._create
        inner = builders.activity(ann, id="inner")
        versioned = [
            {"authorReference": {"reference": f"Patient/{ann}/_history/3"}, "text": "A-1 is my number"}
        ]
        create(
            "anns-goal",
            builders.goal(
                subject=self.says(ann, ANNS),
                contained=[inner],
                addresses=[{"reference": "#inner"}],
                note=versioned,
            ),
        )
        plan = {"goal": [{"reference": "Goal/anns-goal"}], "author": self.says(ann, NATIONAL)}
        create("anns-plan", builders.care_plan(ann, **plan))
        create("anns-answers", builders.questionnaire_response(ann, source=self.says(bob, BOBS)))
        create("anns-mistake", builders.goal(ann))
        self.chart.withdraw("anns-mistake", "nurse")
        create("bobs-goal", builders.goal(bob, expressedBy=self.says(ann, ANNS)))
        create("bobs-plan", builders.care_plan(bob, goal=[{"reference": "Goal/bobs-goal"}]))
        notes = [
            {"authorReference": self.says(bob), "text": "A-1"},
            {"authorReference": self.says(ann), "text": "x"},
        ]
        create("cids-goal", builders.goal(cid, expressedBy=self.says(ann, ANNS), note=notes))
        by_number = {"type": "Patient", "identifier": identifier(ANNS)}
        create("cids-plan", builders.care_plan(cid, author=by_number, title="A-1", contributor=[by_number]))
        same_number = {"type": "Practitioner", "identifier": identifier(ANNS)}
        create(
            "cids-activity", builders.activity(cid, performer=[same_number], note=[{"text": '"value":"A-1"'}])
        )
        create("form", builders.questionnaire())
        seen = builders.goal(id="from-the-lab", subject=self.says(ann, UNREGISTERED))
        change = Change(actor="connection:lab", action="pull", at=MOMENT, origin=Origin.SERVER)
        with self.database.begin() as session:
            self.chart.save_from_server(session, seen, ann, change)
            session.get_one(tables.Record, "from-the-lab").set_aside = "moved"

    def _create(self, record_id: str, tree: Tree) -> None:
        self.chart.create(tree, "nurse", record_id=record_id)

    def _conflicts(self) -> None:
        trees = self.trees()
        moved = {**trees["cids-goal"], "expressedBy": self.says(self.bob)}
        noted = {
            **trees["cids-activity"],
            "note": [{"authorReference": self.says(self.ann, ANNS), "text": "x"}],
        }
        with self.database.begin() as session:
            for name, record_id, resolved, sides in (
                ("open", "anns-goal", None, [trees["anns-goal"]] * 3),
                ("decided", "anns-plan", MOMENT, [trees["anns-plan"]] * 3),
                ("cids", "cids-goal", None, [trees["cids-goal"], trees["cids-goal"], moved]),
                ("there", "cids-activity", None, [trees["cids-activity"], trees["cids-activity"], noted]),
            ):
                base, here, there = map(exact_json.dump, sides)
                session.add(
                    tables.ConflictRow(
                        id=name,
                        record_id=record_id,
                        connection_id=self.clinic,
                        here_version=1,
                        base=base,
                        here=here,
                        there=there,
                        paths="[]",
                        opened_at=MOMENT,
                        resolved_at=resolved,
                    )
                )

    def _answers(self) -> None:
        goal = exact_json.dump(self.tree("anns-goal"))
        bobs = exact_json.dump(self.tree("bobs-goal"))
        record = exact_json.dump({"type": "Goal", "subject": self.says(self.ann)})
        rows = [
            (f"app {self.ann}", "alone", goal),
            (f"app {self.ann}", "both", goal),
            (f"app {self.bob}", "both", bobs),
            (f"app {self.cid}", "alone", record),
            ("app ", "everyone's", record),
            ("app ", "unfinished", None),
        ]
        with self.database.begin() as session:
            for principal, key, body in rows:
                session.add(
                    tables.IdempotencyKey(
                        principal=principal,
                        route="/fhir/Goal",
                        key=key,
                        request_hash=key,
                        status=201,
                        body=body,
                        created_at=MOMENT,
                    )
                )

    def _matches(self) -> None:
        matched = {"state": "matched", "is_stale": False, "checked_at": MOMENT, "basis": "identifier"}
        shown = exact_json.dump([list(ANNS)])
        with self.database.begin() as session:
            for patient, connection, server_id, earlier in (
                (self.ann, self.clinic, "ann-there", '["ann-before"]'),
                (self.bob, self.clinic, "bob-there", None),
                (self.ann, self.lab, "ann-lab", None),
            ):
                session.add(
                    tables.PatientLink(
                        patient_id=patient,
                        connection_id=connection,
                        server_id=server_id,
                        earlier=earlier,
                        shown=shown,
                        **matched,
                    )
                )
            session.add(
                tables.ReferenceLink(
                    connection_id=self.clinic,
                    patient_id=self.ann,
                    resource_type="Condition",
                    system="s",
                    value="v",
                    state="matched",
                    checked_at=MOMENT,
                )
            )


def names_in(value: Any) -> Iterator[tuple[tuple[str, str], Tree]]:
    """Yield every identifier of a tree's references, with the reference; apart from the code under test."""
    if isinstance(value, dict):
        if isinstance(value.get("identifier"), dict) and "resourceType" not in value:
            yield (value["identifier"].get("system"), value["identifier"].get("value")), value
        for member in value.values():
            yield from names_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


def addresses_in(value: Any) -> Iterator[str]:
    """Yield every address that a tree refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for member in value.values():
            yield from addresses_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from addresses_in(item)
