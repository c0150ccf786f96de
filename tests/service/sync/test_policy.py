"""What follows from what came of a request: the table, case by case."""

import random
from datetime import UTC, datetime

import pytest

from service.fhir_client.outcomes import Answered, Cause, NotSent, Outcome, Refused, Unknown
from service.sync.policy import (
    BACKOFF_CAP_SECONDS,
    LONGEST_WAIT_SECONDS,
    MAX_AGAIN,
    MAX_SERVER_ERRORS,
    RETRY_AFTER_CAP_SECONDS,
    Method,
    Step,
    at_fhir,
    backoff_seconds,
    next_step,
    retry_after_seconds,
)
from service.sync.states import NEXT_STEPS, Reason

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
CAPABILITIES, READ, SEARCH, CREATE, UPDATE, BUNDLE = (
    Method.CAPABILITIES,
    Method.READ,
    Method.SEARCH,
    Method.CREATE,
    Method.UPDATE,
    Method.BUNDLE,
)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}


@pytest.mark.parametrize(
    ("method", "outcome", "step", "reason"),
    [
        (CREATE, Answered(201), Step.DONE, None),
        (CREATE, NotSent(Cause.UNREACHABLE, ""), Step.RETRY, Reason.UNREACHABLE),
        (CREATE, NotSent(Cause.NO_TOKEN, ""), Step.RETRY, Reason.NO_TOKEN),
        (CREATE, Unknown(Cause.TIMEOUT, ""), Step.LOOK_UP, Reason.NO_ANSWER),
        (UPDATE, Unknown(Cause.DROPPED, ""), Step.LOOK_UP, Reason.NO_ANSWER),
        (BUNDLE, Unknown(Cause.NOT_FHIR, ""), Step.LOOK_UP, Reason.NOT_FHIR),
        (SEARCH, Unknown(Cause.TIMEOUT, ""), Step.RETRY, Reason.NO_ANSWER),
        (SEARCH, Unknown(Cause.FOREIGN_LINK, ""), Step.RETRY, Reason.PAGES_BROKEN),
        (SEARCH, Unknown(Cause.ENDLESS_PAGES, ""), Step.RETRY, Reason.PAGES_BROKEN),
        (SEARCH, Unknown(Cause.UNREADABLE, ""), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Unknown(Cause.OTHER_RESOURCE, ""), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(200, outcome=OUTCOME), Step.RETRY, Reason.LOOKUP_REFUSED),
        (READ, Unknown(Cause.OTHER_RESOURCE, ""), Step.RETRY, Reason.NOT_FHIR),
        (CAPABILITIES, Refused(404), Step.RETRY, Reason.NOT_FHIR),
        (CAPABILITIES, Refused(410, outcome=OUTCOME), Step.RETRY, Reason.NOT_FHIR),
        (CAPABILITIES, Refused(403), Step.RETRY, Reason.FORBIDDEN),
        (CAPABILITIES, Refused(401), Step.RETRY, Reason.UNAUTHORIZED),
        (CAPABILITIES, Refused(503), Step.RETRY, Reason.BUSY),
        (SEARCH, Refused(400, outcome=OUTCOME), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(403), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(404, outcome=OUTCOME), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(405), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(410), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(414), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(501), Step.RETRY, Reason.LOOKUP_REFUSED),
        (SEARCH, Refused(404), Step.RETRY, Reason.NOT_FHIR),
        (SEARCH, Refused(401), Step.RETRY, Reason.UNAUTHORIZED),
        (SEARCH, Refused(500), Step.RETRY, Reason.SERVER_ERROR),
        (CREATE, Refused(400), Step.REJECT, Reason.REFUSED),
        (CREATE, Refused(422), Step.REJECT, Reason.REFUSED),
        (CREATE, Refused(403), Step.REJECT, Reason.FORBIDDEN),
        (CREATE, Refused(405), Step.REJECT, Reason.NOT_SUPPORTED),
        (CREATE, Refused(413), Step.REJECT, Reason.TOO_LARGE),
        (CREATE, Refused(409), Step.RETRY_NOW, Reason.BUSY),
        (CREATE, Refused(412), Step.REJECT, Reason.SEVERAL_COPIES_THERE),
        (CREATE, Refused(401), Step.RETRY, Reason.UNAUTHORIZED),
        (CREATE, Refused(429), Step.RETRY, Reason.BUSY),
        (CREATE, Refused(503), Step.LOOK_UP, Reason.BUSY),
        (SEARCH, Refused(503), Step.RETRY, Reason.BUSY),
        (CREATE, Refused(408), Step.LOOK_UP, Reason.NO_ANSWER),
        (CREATE, Refused(500), Step.LOOK_UP, Reason.SERVER_ERROR),
        (CREATE, Refused(502), Step.LOOK_UP, Reason.NO_ANSWER),
        (BUNDLE, Refused(504), Step.LOOK_UP, Reason.NO_ANSWER),
        (READ, Refused(500), Step.RETRY, Reason.SERVER_ERROR),
        (CREATE, Refused(302), Step.RETRY, Reason.NOT_FHIR),
        (CREATE, Refused(304), Step.RETRY, Reason.NOT_FHIR),
        (CREATE, Refused(404), Step.RETRY, Reason.NOT_FHIR),
        (CREATE, Refused(404, outcome=OUTCOME), Step.REJECT, Reason.NOT_SUPPORTED),
        (CREATE, Refused(407), Step.RETRY, Reason.UNREACHABLE),
        (CREATE, Refused(511), Step.RETRY, Reason.UNREACHABLE),
        (CREATE, Refused(501), Step.REJECT, Reason.NOT_SUPPORTED),
        (CREATE, Refused(507), Step.LOOK_UP, Reason.NO_ANSWER),
        (CREATE, Refused(522), Step.LOOK_UP, Reason.NO_ANSWER),
        (UPDATE, Refused(304), Step.READ_BACK, None),
        (UPDATE, Refused(200, outcome=OUTCOME), Step.REJECT, Reason.REFUSED),
        (UPDATE, Refused(403), Step.REJECT, Reason.FORBIDDEN),
        (UPDATE, Refused(409), Step.MERGE, Reason.CHANGED_ON_BOTH_SIDES),
        (UPDATE, Refused(412), Step.MERGE, Reason.CHANGED_ON_BOTH_SIDES),
        (UPDATE, Refused(404), Step.RETRY, Reason.NOT_FHIR),
        (UPDATE, Refused(404, outcome=OUTCOME), Step.GONE, Reason.GONE_THERE),
        (UPDATE, Refused(404, in_bundle=True), Step.GONE, Reason.GONE_THERE),
        (UPDATE, Refused(410), Step.GONE, Reason.GONE_THERE),
        (READ, Refused(410), Step.GONE, Reason.GONE_THERE),
        (READ, Refused(404), Step.RETRY, Reason.NOT_FHIR),
        (READ, Refused(404, outcome=OUTCOME), Step.GONE, Reason.GONE_THERE),
        (READ, Refused(301), Step.RETRY, Reason.NOT_FHIR),
        (READ, Refused(403), Step.REJECT, Reason.FORBIDDEN),
        (BUNDLE, Refused(400), Step.SPLIT, Reason.REFUSED),
        (BUNDLE, Refused(409), Step.SPLIT, Reason.REFUSED),
        (BUNDLE, Refused(412), Step.SPLIT, Reason.REFUSED),
        (BUNDLE, Refused(413), Step.SPLIT, Reason.TOO_LARGE),
        (BUNDLE, Refused(422), Step.SPLIT, Reason.REFUSED),
        (BUNDLE, Refused(403), Step.SPLIT, Reason.FORBIDDEN),
        (BUNDLE, Refused(404, outcome=OUTCOME), Step.SPLIT, Reason.NOT_SUPPORTED),
        (BUNDLE, Refused(418), Step.SPLIT, Reason.REFUSED),
        (BUNDLE, Refused(404), Step.ONE_BY_ONE, Reason.NOT_SUPPORTED),
        (BUNDLE, Refused(405), Step.ONE_BY_ONE, Reason.NOT_SUPPORTED),
        (BUNDLE, Refused(501), Step.ONE_BY_ONE, Reason.NOT_SUPPORTED),
        (BUNDLE, Refused(301), Step.ONE_BY_ONE, Reason.NOT_SUPPORTED),
        (BUNDLE, Refused(308), Step.ONE_BY_ONE, Reason.NOT_SUPPORTED),
    ],
)
def test_each_outcome_of_each_method_has_its_next_step(
    method: Method, outcome: Outcome, step: Step, reason: Reason | None
) -> None:
    following = next_step(method, outcome)
    assert (following.step, following.reason) == (step, reason)


@pytest.mark.parametrize("method", list(Method))
def test_every_status_has_an_answer_that_a_person_can_act_on(method: Method) -> None:
    followings = [next_step(method, Refused(status)) for status in range(300, 600)]
    assert all(one.step is not Step.DONE for one in followings)
    assert all(one.reason in NEXT_STEPS for one in followings if one.step is not Step.READ_BACK)


def test_no_refusal_of_a_search_or_a_bundle_sets_a_record_aside() -> None:
    for status in range(300, 600):
        for outcome in (Refused(status), Refused(status, outcome=OUTCOME)):
            steps = {next_step(SEARCH, outcome).step, next_step(BUNDLE, outcome).step}
            assert steps.isdisjoint({Step.REJECT, Step.GONE})


def test_only_fhir_says_that_a_record_is_gone() -> None:
    for method in (READ, UPDATE):
        gone = [
            (status, outcome is not None)
            for status in range(300, 600)
            for outcome in (None, OUTCOME)
            if next_step(method, Refused(status, outcome=outcome)).step is Step.GONE
        ]
        assert gone == [(404, True), (410, False), (410, True)]


def test_a_write_without_a_sure_answer_is_never_simply_sent_again() -> None:
    unsure: list[Outcome] = [Unknown(cause, "") for cause in Cause]
    unsure += [Refused(status) for status in (408, 500, 502, 503, 504)]
    unsure += [Refused(status) for status in range(504, 600) if status != 511]
    steps = {next_step(method, outcome).step for method in (CREATE, UPDATE, BUNDLE) for outcome in unsure}
    assert steps == {Step.LOOK_UP}


def test_a_server_error_is_not_tried_forever() -> None:
    assert next_step(CREATE, Refused(500), MAX_SERVER_ERRORS - 1).step is Step.LOOK_UP
    assert next_step(CREATE, Refused(500), MAX_SERVER_ERRORS).step is Step.REJECT


def test_a_lost_race_is_not_tried_forever() -> None:
    assert next_step(CREATE, Refused(409), MAX_AGAIN).step is Step.REJECT


@pytest.mark.parametrize(
    ("outcome", "pause"),
    [
        (NotSent(Cause.UNREACHABLE, ""), True),
        (Refused(401), True),
        (Refused(429), True),
        (Refused(503), True),
        (Unknown(Cause.NOT_FHIR, ""), True),
        (Unknown(Cause.OTHER_RESOURCE, ""), False),
        (Unknown(Cause.FOREIGN_LINK, ""), False),
        (Unknown(Cause.TIMEOUT, ""), False),
        (Refused(407), True),
        (Refused(511), True),
        (Refused(422), False),
        (Refused(403), False),
    ],
)
def test_what_concerns_the_whole_server_pauses_the_run(outcome: Outcome, pause: bool) -> None:
    following = next_step(CREATE, outcome)
    assert (following.pause, following.unless_fhir) == (pause, False)


@pytest.mark.parametrize("method", [READ, SEARCH, CREATE, UPDATE])
@pytest.mark.parametrize("status", [301, 308, 404])
def test_what_may_concern_it_pauses_the_run_unless_fhir_is_spoken_there(method: Method, status: int) -> None:
    following = next_step(method, Refused(status))
    assert (following.pause, following.unless_fhir) == (True, True)


@pytest.mark.parametrize("method", [READ, SEARCH])
@pytest.mark.parametrize("cause", [Cause.NOT_FHIR, Cause.TOO_LARGE])
def test_a_question_that_is_answered_with_no_fhir_pauses_the_run_unless_fhir_is_spoken_there(
    method: Method, cause: Cause
) -> None:
    following = next_step(method, Unknown(cause, ""))
    assert (following.pause, following.unless_fhir) == (True, True)
    there = at_fhir(method, following)
    assert (there.pause, there.reason) == (
        False,
        Reason.LOOKUP_REFUSED if method is SEARCH else Reason.NOT_FHIR,
    )


def test_what_tells_whether_fhir_is_spoken_is_asked_of_nothing_else() -> None:
    following = next_step(CAPABILITIES, Unknown(Cause.NOT_FHIR, ""))
    assert (following.pause, following.unless_fhir) == (True, False)


def test_the_wait_doubles_up_to_a_cap_and_has_full_jitter() -> None:
    rng = random.Random(7)
    waits = {attempts: [backoff_seconds(attempts, rng) for _ in range(400)] for attempts in (1, 4, 60)}
    assert 0 <= min(waits[1]) < 0.4
    assert 3.6 < max(waits[1]) <= 4
    assert max(waits[4]) <= 32
    assert 0.9 * BACKOFF_CAP_SECONDS < max(waits[60]) <= BACKOFF_CAP_SECONDS


def test_retry_after_is_a_minimum_and_itself_limited() -> None:
    rng = random.Random(7)
    assert min(backoff_seconds(1, rng, 90.0) for _ in range(200)) >= 90
    for asked in (1e12, float("inf")):
        assert backoff_seconds(9, rng, asked) < RETRY_AFTER_CAP_SECONDS + 60


def test_nothing_waits_longer_than_the_longest() -> None:
    rng = random.Random(7)
    asked = (None, 0.0, 1.0, 1e12)
    waits = [
        backoff_seconds(attempts, rng, one) for attempts in (1, 9, 60) for one in asked for _ in range(50)
    ]
    assert 0.5 * LONGEST_WAIT_SECONDS < max(waits) <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Mon, 02 Mar 2026 08:31:30 GMT", 90.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("9" * 400, float("inf")),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
