"""Workers that save matches at the same time, in opposite orders: nobody waits for another in a circle."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from fhir_mappings.references import Name
from service.chart import PatientRegister
from service.fhir_client.client import FHIRClient
from service.store.database import Database
from service.store.tables import Connection
from service.sync.identity import match_rows, match_writes
from service.sync.identity.match_policy import Basis
from service.sync.identity.match_rows import Standing
from service.sync.identity.matching import Matcher, MatchRules
from service.sync.identity.reference_matching import ReferenceMatcher
from service.sync.identity.references import Wanted
from service.sync.identity.subjects import Subjects
from tests.clock import Clock
from tests.databases import opened
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.things_there import STAFF, named, practitioner

ROUNDS = 25
PEOPLE = 12


@pytest.fixture
def office(postgres_database: str, ehr: EHR, clock: Clock) -> Iterator[Office]:
    """An office on PostgreSQL, where rows are locked one by one, with a few people and what they have."""
    with opened(postgres_database) as database:
        office = Office(database, ehr.base_url, clock)
        office.connect()
        for number in range(PEOPLE):
            practitioner(office, f"dr {number}")
        for number in range(PEOPLE):
            here, _ = office.patient()
            for doctor in range(3):
                author = named("Practitioner", STAFF, f"dr {(number + doctor) % PEOPLE}")
                office.goal(patient=here, expressedBy=author)
        office.sync.run()
        assert office.states() == {"synced": 3 * PEOPLE}
        yield office


def at_once(office: Office, *acts: Callable[[Database, int], object]) -> None:
    """Do several things again and again, each in a thread with connections of its own."""
    ready = threading.Barrier(len(acts))
    failures: list[str] = []

    def repeat(act: Callable[[Database, int], object]) -> None:
        database = Database(office.database.url.render_as_string(hide_password=False))
        try:
            for number in range(ROUNDS):
                ready.wait(60)
                act(database, number)
        except Exception as error:
            failures.append(repr(error.__cause__ or error))
            ready.abort()
        finally:
            database.close()

    threads = [threading.Thread(target=repeat, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def connection_id(office: Office) -> str:
    with office.database.read() as session:
        return str(session.scalar(select(Connection.id)))


def ids(office: Office) -> list[str]:
    return [one.id for one in office.chart.patients(limit=100).entries]


def saving(office: Office, order: Sequence[str], worker: str) -> Callable[[Database, int], object]:
    """Return what matches everybody to somebody else each time."""
    connection = connection_id(office)

    def save(database: Database, number: int) -> None:
        with database.begin() as session:
            kept = match_rows.read(session, connection, order)
            standings = [
                Standing(
                    patient_id=one,
                    kept=kept[one],
                    claim=replace(
                        kept[one].claim,
                        server_id=f"{worker}-{number}-{one[:8]}",
                        basis=Basis.IDENTIFIER,
                        is_matched=True,
                    ),
                )
                for one in order
            ]
            match_writes.save(session, connection, standings, ACTOR, office.clock())

    return save


def test_two_workers_save_the_same_matches_in_opposite_orders(office: Office) -> None:
    people = ids(office)
    at_once(office, saving(office, people, "one"), saving(office, people[::-1], "two"))
    # Each was the first at times, and nobody was matched by half.
    with office.database.read() as session:
        matched = match_rows.matched_patients(session, connection_id(office))
    assert len(matched) == len(people)


def test_matches_are_saved_while_identifiers_are_corrected(office: Office) -> None:
    people = ids(office)

    def correct(database: Database, number: int) -> None:
        register = PatientRegister(database, office.clock)
        for one in people[::-1]:
            (old,) = office.chart.patient(one).identifiers
            new: Name = (old[0], f"{one} {number}")
            register.correct_identifier(one, old, new, ACTOR)

    at_once(office, saving(office, people, "one"), correct)


def test_matches_are_saved_while_what_is_named_by_identifier_is_looked_for(office: Office) -> None:
    people = ids(office)
    wanted: list[Wanted] = [
        (one, ("Condition", "urn:problems", f"problem {number}")) for one in people for number in range(5)
    ]
    connection = connection_id(office)

    def look(database: Database, number: int) -> None:
        client = FHIRClient(office.base_url)
        matcher = Matcher(
            database=database,
            connection_id=connection,
            base_url=office.base_url,
            client=client,
            takes_bundles=True,
            rules=MatchRules(),
            clock=office.clock,
        )
        references = ReferenceMatcher(
            database=database,
            connection_id=connection,
            client=client,
            subjects=Subjects(matcher),
            rules=MatchRules(),
            clock=office.clock,
        )
        found = references.references(wanted if number % 2 else wanted[::-1], {})
        assert isinstance(found, dict)
        references.expire(wanted)

    at_once(office, saving(office, people, "one"), look, look)
