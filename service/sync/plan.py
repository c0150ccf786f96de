"""What follows from what came of a request: pure policy, one table of method and outcome."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum, auto

from service.fhir_answers import Answered, Cause, NotSent, Outcome, Refused, Unknown
from service.sync.reasons import Reason


class Method(StrEnum):
    """What was asked of the server."""

    READ = auto()
    SEARCH = auto()
    CREATE = auto()
    UPDATE = auto()
    BUNDLE = auto()


class Step(StrEnum):
    """What to do next."""

    DONE = auto()
    RETRY = auto()  # surely not carried out: the same again, later
    RESOLVE = auto()  # perhaps carried out: ask what became of it before anything else
    AGAIN = auto()  # lost a race: the same again, now
    MERGE = auto()  # another version is there: fetch it first
    SPLIT = auto()  # one of several entries is at fault: find out which
    GONE = auto()
    REJECT = auto()


@dataclass(frozen=True)
class Next:
    """A step, its reason, and whether the whole connection had better pause."""

    step: Step
    reason: Reason | None = None
    pause: bool = False


#: A server error can be a permanent refusal in disguise, so it is not tried forever.
MAX_SERVER_ERRORS = 6
#: A create that lost its race is asked again at once, at most this often.
MAX_AGAIN = 3
#: From this many attempts on a record travels alone, so that it holds up no others.
ALONE_AFTER = 3

BACKOFF_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 3600.0
#: Nobody can mean more with Retry-After; and a wrong clock there must not stop us for years.
RETRY_AFTER_CAP_SECONDS = 86_400.0

_WRITES = {Method.CREATE, Method.UPDATE, Method.BUNDLE}
_UNKNOWN_STATUSES = {408, 500, 502, 504}
_SPLIT_STATUSES = {400, 403, 404, 405, 409, 410, 412, 413, 415, 422, 423, 424, 428}

_CAUSES = {
    Cause.UNREACHABLE: Reason.UNREACHABLE,
    Cause.NO_TOKEN: Reason.NO_TOKEN,
    Cause.TIMEOUT: Reason.NO_ANSWER,
    Cause.DROPPED: Reason.NO_ANSWER,
    Cause.TOO_LARGE: Reason.NOT_FHIR,
    Cause.NOT_FHIR: Reason.NOT_FHIR,
    Cause.FOREIGN_LINK: Reason.NOT_FHIR,
    Cause.ENDLESS_PAGES: Reason.NOT_FHIR,
}

_REJECTIONS = {
    403: Reason.FORBIDDEN,
    405: Reason.NOT_SUPPORTED,
    406: Reason.NOT_SUPPORTED,
    413: Reason.TOO_LARGE,
    501: Reason.NOT_SUPPORTED,
}


def next_step(method: Method, outcome: Outcome, attempts: int = 0) -> Next:
    """Say what follows; attempts: how often this was tried before and failed."""
    if isinstance(outcome, Answered):
        return Next(Step.DONE)
    if isinstance(outcome, NotSent):
        return Next(Step.RETRY, _CAUSES[outcome.cause], pause=True)
    if isinstance(outcome, Unknown):
        # An address that answers with something else than FHIR does so for every record.
        step = Step.RESOLVE if method in _WRITES else Step.RETRY
        return Next(step, _CAUSES[outcome.cause], pause=_CAUSES[outcome.cause] is Reason.NOT_FHIR)
    return _after_refusal(method, outcome, attempts)


def _after_refusal(method: Method, outcome: Refused, attempts: int) -> Next:
    status = outcome.status
    if status == 401:
        return Next(Step.RETRY, Reason.UNAUTHORIZED, pause=True)
    if status in {425, 429, 503}:
        # 503 comes from proxies too, which may have passed the request on.
        unsure = status == 503 and method in _WRITES
        return Next(Step.RESOLVE if unsure else Step.RETRY, Reason.BUSY, pause=True)
    if status in _UNKNOWN_STATUSES:
        return _after_server_error(method, status, attempts)
    if 300 <= status < 400:
        return Next(Step.RETRY, Reason.NOT_FHIR, pause=True)
    if method is Method.BUNDLE:
        return Next(Step.SPLIT if status in _SPLIT_STATUSES else Step.REJECT, _rejection(status))
    if method in {Method.READ, Method.UPDATE} and status in {404, 410}:
        return Next(Step.GONE, Reason.GONE_THERE)
    # Which of the two a stale If-Match brings depends on the server; Oracle and HAPI say 409.
    if method is Method.UPDATE and status in {409, 412}:
        return Next(Step.MERGE, Reason.CHANGED_ON_BOTH_SIDES)
    if method is Method.CREATE and status == 409 and attempts < MAX_AGAIN:
        return Next(Step.AGAIN, Reason.BUSY)
    if method is Method.CREATE and status == 412:
        return Next(Step.REJECT, Reason.SEVERAL_COPIES_THERE)
    return Next(Step.REJECT, _rejection(status))


def _after_server_error(method: Method, status: int, attempts: int) -> Next:
    reason = Reason.SERVER_ERROR if status == 500 else Reason.NO_ANSWER
    if method not in _WRITES:
        return Next(Step.RETRY, reason)
    if status == 500 and attempts >= MAX_SERVER_ERRORS:
        return Next(Step.REJECT, reason)
    return Next(Step.RESOLVE, reason)


def _rejection(status: int) -> Reason:
    return _REJECTIONS.get(status, Reason.REFUSED)


def backoff_seconds(attempts: int, rng: random.Random, retry_after: float | None = None) -> float:
    """Return how long to wait: full jitter over a doubling span, on top of what the server asks.

    attempts: how often it was tried, this time included.
    """
    span = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** min(attempts, 30))
    least = min(RETRY_AFTER_CAP_SECONDS, max(0.0, retry_after or 0.0))
    return least + rng.uniform(0.0, min(span, BACKOFF_SECONDS) if least else span)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Read Retry-After, which is seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
