"""No connection takes another along, whatever its server does and whatever we do wrong with it."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Response
from sqlalchemy import select

from fhir_mappings.exact_json import Tree
from service import logs
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Outcome
from service.store.tables import OutboxRow
from service.sync.engine import Sync
from service.sync.server.connections import Connection, token_in, token_of
from tests.raw_server import raw_server, reply
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office

#: Comes before "ehr" in every round.
ODD = "a-odd-one"
SECRET = "something that a person said"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What an operator sees, as lines of JSON."""
    stream = io.StringIO()
    logs.configure("INFO", "json", stream)
    yield stream
    logging.root.handlers.clear()
    structlog.reset_defaults()


def lines(stream: io.StringIO, event: str) -> list[dict[str, Any]]:
    return [one for line in stream.getvalue().splitlines() if (one := json.loads(line))["event"] == event]


def fails(*_: object, **__: object) -> Any:
    raise KeyError(SECRET)


class Defective(FHIRClient):
    """Fails as only a defect of ours can."""

    def __init__(self, base_url: str, method: str) -> None:
        super().__init__(base_url)
        setattr(self, method, fails)


def beside(ehr: EHR) -> str:
    """The same server by another name."""
    return ehr.base_url.replace("127.0.0.1", "localhost")


def with_defect(office: Office, method: str) -> Sync:
    def client_for(connection: Connection) -> FHIRClient:
        return (
            Defective(connection.base_url, method)
            if connection.name == ODD
            else FHIRClient(connection.base_url)
        )

    return office.new_sync(client_for)


@pytest.mark.parametrize("method", ["capabilities", "pages", "pages_of_any", "bundle", "history"])
def test_a_defect_with_one_connection_leaves_the_others_alone(
    office: Office, ehr: EHR, logged: io.StringIO, method: str
) -> None:
    office.sync.add_connection(ODD, beside(ehr))
    for number in range(3):
        office.goal(f"goal {number}")
    sync = with_defect(office, method)
    reports = []
    for _ in range(3):
        reports.append(sync.run())
        office.clock.advance(days=1)
    states = {row.state for row in office.sync.status(connection="ehr")[0]}
    assert states == {"synced"}
    failed = [one for one in reports if one.problem]
    assert {(one.problem, *one.problems) for one in failed} == {("failed-here", f"{ODD}: failed-here")}


def test_a_failure_says_where_it_happened_and_nothing_of_what(
    office: Office, ehr: EHR, logged: io.StringIO
) -> None:
    office.sync.add_connection(ODD, beside(ehr))
    with_defect(office, "capabilities").run()
    (line,) = lines(logged, "a connection failed")
    assert (line["connection"], line["exception"]) == (ODD, "KeyError")
    assert any(frame.startswith("server/connections.py") for frame in line["at"])
    assert SECRET not in logged.getvalue()


def test_what_was_in_hand_when_it_failed_is_tried_again_later_and_then_alone(
    office: Office, ehr: EHR, logged: io.StringIO
) -> None:
    goals = [office.goal(f"goal {number}") for number in range(4)]

    class Poisoned(FHIRClient):
        def bundle(self, tree: Tree) -> Outcome:
            self._refuse(tree)
            return super().bundle(tree)

        def create(self, tree: Tree, *, if_none_exist: str | None = None) -> Outcome:
            self._refuse(tree)
            return super().create(tree, if_none_exist=if_none_exist)

        @staticmethod
        def _refuse(tree: Tree) -> None:
            if goals[2] in str(tree):
                raise ValueError(SECRET)

    sync = office.new_sync(lambda one: Poisoned(one.base_url))
    sync.push()
    with office.database.read() as session:
        rows = session.scalars(select(OutboxRow)).all()
    assert {(row.attempts, row.lease_owner) for row in rows} == {(1, None)}
    assert all(row.next_attempt_at > office.clock() for row in rows)
    # From its third attempt on each goes alone, and the one at fault is set aside by itself.
    for _ in range(3):
        office.clock.advance(days=1)
        sync.push()
    assert {office.status(goal).state for goal in goals if goal != goals[2]} == {"synced"}
    assert (office.status(goals[2]).state, office.status(goals[2]).reason) == ("rejected", "failed-here")
    office.sync.retry(goals[2])
    office.sync.push()
    assert office.states() == {"synced": 4}
    assert len(office.copies("Goal")) == 4


ODD_ANSWERS: dict[str, bytes] = {
    "dates that overflow": reply(
        b"{}",
        b"Date: Mon, 01 Jan 99999999999 00:00:00 GMT",
        b"Retry-After: Fri, 31 Dec 9999 23:59:59 -2359",
        status=b"503 Busy",
    ),
    "a redirect that does not parse": reply(b"", b"Location: http://[::1", status=b"308 Moved"),
    "odd bytes": reply(b"\xff\xfe{", b"ETag: \xff\x01", b"Location: \xff", status=b"201 Created"),
    "json of another kind": reply(b'[{"resourceType": ["CapabilityStatement"]}]'),
    "a statement of odd kinds": reply(
        b'{"resourceType": "CapabilityStatement", "rest": [7, {"mode": "server", "resource": {"type": 1},'
        b' "interaction": "transaction", "searchParam": [[]]}]}'
    ),
    "nothing at all": b"",
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS.keys())
def test_an_odd_server_is_an_outcome_and_the_others_go_on(
    office: Office, ehr: EHR, logged: io.StringIO, answer: bytes
) -> None:
    with raw_server(answer) as server:
        office.sync.add_connection(ODD, server.base_url)
        goal = office.goal()
        report = office.sync.run()
    assert lines(logged, "a connection failed") == []
    (standing,) = office.sync.status(connection="ehr")[0]
    assert (standing.record_id, standing.state) == (goal, "synced")
    assert report.problem != "failed-here"


def odd_page(link: Any, last_updated: Any) -> Callable[[Any, Response], Response | None]:
    bundle = {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": last_updated},
        "link": [{"relation": "next", "url": link}, "next", {"relation": ["next"]}],
        "entry": [None, [], {"resource": []}, {"resource": {"resourceType": "Goal", "id": ["1"]}}],
    }
    return lambda request, response: (
        Response(json.dumps(bundle), content_type="application/fhir+json")
        if request.method == "GET" and "metadata" not in request.path
        else None
    )


@pytest.mark.parametrize(
    "link", ["http://[::1", "http://\\\\", "//", "\x7f", "?" * 100, "a" * 100_000, {}, []]
)
@pytest.mark.parametrize("last_updated", ["99999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", {}])
def test_odd_pages_are_an_outcome(
    office: Office, ehr: EHR, logged: io.StringIO, link: Any, last_updated: Any
) -> None:
    office.goal()
    ehr.after = odd_page(link, last_updated)
    office.sync.run()
    assert lines(logged, "a connection failed") == []


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\xfd", b"two\nlines", b"two words", b"", b" \n", b"\x00", b"x" * 100_000, None]
)
def test_a_token_file_that_holds_no_token_stops_its_own_connection(
    office: Office, ehr: EHR, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    sync = office.new_sync(lambda one: FHIRClient(one.base_url, token=token_in(one.token_file)))
    sync.add_connection(ODD, beside(ehr), str(file))
    goal = office.goal()
    report = sync.run()
    assert report.problems == [f"{ODD}: no-token"]
    (standing,) = office.sync.status(connection="ehr")[0]
    assert (standing.record_id, standing.state) == (goal, "synced")
    assert sync.check_connection(ODD).problem == "no-token"


def test_a_token_is_read_without_what_editors_put_after_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"eyJhbGciOiJ.x-y_z~+/==\r\n")
    assert token_of(file) == "eyJhbGciOiJ.x-y_z~+/=="


def test_a_token_that_never_ends_is_not_waited_for() -> None:
    with pytest.raises(OSError, match="no file"):
        token_of(Path("/dev/zero"))
