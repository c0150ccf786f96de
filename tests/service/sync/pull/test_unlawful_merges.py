"""What a merge would make of a record is held to the law as well: no record becomes another one by it."""

from service.store.deployment import identifier_system
from tests.service.sync.office import Office


def test_an_edited_record_takes_no_other_records_identifier_from_its_copy(office: Office) -> None:
    goal, other = office.goal("walk"), office.goal("swim")
    office.sync.run()
    office.change("Goal", goal, description={"text": "run"})
    with office.database.read() as session:
        system = identifier_system(session)
    identifiers = [*office.there("Goal", goal)["identifier"], {"system": system, "value": other}]
    office.change_there("Goal", goal, identifier=identifiers)
    before = office.here("Goal", goal)
    office.clock.advance(seconds=600)
    office.sync.pull()
    assert office.here("Goal", goal) == before
    assert [one.server_id for one in office.sync.invalid()] == [office.status(goal).server_id]
