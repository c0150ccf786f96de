"""What follows from what came of a request: pure policy, one table of method and outcome."""

import random
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from enum import StrEnum, auto

from service.fhir_client.outcomes import Answered, Cause, NotSent, Outcome, Refused, Unknown, moment_in
from service.sync.states import Reason


class Method(StrEnum):
    """What was asked of the server."""

    CAPABILITIES = auto()
    READ = auto()
    SEARCH = auto()
    CREATE = auto()
    UPDATE = auto()
    BUNDLE = auto()


class Step(StrEnum):
    """What to do next."""

    DONE = auto()
    RETRY = auto()  # surely not carried out: the same again, later
    LOOK_UP = auto()  # perhaps carried out: ask what became of it before anything else
    RETRY_NOW = auto()  # lost a race: the same again, now
    MERGE = auto()  # another version is there: fetch it first
    READ_BACK = auto()  # nothing was changed there: what it holds is what counts
    SPLIT = auto()  # one of several entries is at fault: find out which
    ONE_BY_ONE = auto()  # several at once are not taken here
    GONE = auto()
    REJECT = auto()


@dataclass(frozen=True)
class Next:
    """A step, its reason, and whether the whole connection had better pause.

    unless_fhir: only if the base URL turns out to be no FHIR server's.
    """

    step: Step
    _: KW_ONLY
    reason: Reason | None = None
    pause: bool = False
    unless_fhir: bool = False


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
#: The longest that anything waits for its next attempt.
LONGEST_WAIT_SECONDS = RETRY_AFTER_CAP_SECONDS + BACKOFF_CAP_SECONDS

_WRITES = {Method.CREATE, Method.UPDATE, Method.BUNDLE}
#: To a PUT: what was sent changes nothing there (RFC 9110 knows it for GET alone).
NOT_MODIFIED = 304
#: What proxies say on their own, of the way there and not of what was asked.
_ON_THE_WAY = {407, 511}
#: No such interaction, or elsewhere: what a server without transactions answers to one.
_NO_BUNDLES = {405, 501}

_CAUSES = {
    Cause.UNREACHABLE: Reason.UNREACHABLE,
    Cause.NO_TOKEN: Reason.NO_TOKEN,
    Cause.TIMEOUT: Reason.NO_ANSWER,
    Cause.DROPPED: Reason.NO_ANSWER,
    Cause.TOO_LARGE: Reason.NOT_FHIR,
    Cause.NOT_FHIR: Reason.NOT_FHIR,
    Cause.OTHER_RESOURCE: Reason.NOT_FHIR,
    Cause.UNREADABLE: Reason.LOOKUP_REFUSED,
    Cause.FOREIGN_LINK: Reason.PAGES_BROKEN,
    Cause.ENDLESS_PAGES: Reason.PAGES_BROKEN,
}
#: An address that answers with something else than FHIR does so for every record.
_CAUSES_EVERYWHERE = {Cause.TOO_LARGE, Cause.NOT_FHIR}
#: What only asks, and may be answered by something that stands before one path of a FHIR server.
_QUESTIONS = {Method.READ, Method.SEARCH}

_REJECTIONS = {
    403: Reason.FORBIDDEN,
    404: Reason.NOT_SUPPORTED,
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
        return Next(Step.RETRY, reason=_CAUSES[outcome.cause], pause=True)
    if isinstance(outcome, Unknown):
        return _after_no_answer(method, outcome.cause)
    if method is Method.CREATE and outcome.status == 409 and attempts < MAX_AGAIN:
        return Next(Step.RETRY_NOW, reason=Reason.BUSY)
    return _of_the_connection(method, outcome.status, attempts) or _AFTER_REFUSAL[method](outcome)


def at_fhir(method: Method, following: Next) -> Next:
    """Return what follows where a FHIR server speaks at the base URL: no matter of the connection's."""
    reason = Reason.LOOKUP_REFUSED if method is Method.SEARCH else following.reason
    return replace(following, pause=False, reason=reason)


def _after_no_answer(method: Method, cause: Cause) -> Next:
    if method is Method.SEARCH and cause is Cause.OTHER_RESOURCE:
        return Next(Step.RETRY, reason=Reason.LOOKUP_REFUSED)
    step = Step.LOOK_UP if method in _WRITES else Step.RETRY
    is_everywhere = cause in _CAUSES_EVERYWHERE
    return Next(
        step,
        reason=_CAUSES[cause],
        pause=is_everywhere,
        unless_fhir=is_everywhere and method in _QUESTIONS,
    )


def _of_the_connection(method: Method, status: int, attempts: int) -> Next | None:
    """Say what follows from a refusal that is not about what was asked; None if it is."""
    if status == 401:
        return Next(Step.RETRY, reason=Reason.UNAUTHORIZED, pause=True)
    if status in _ON_THE_WAY:
        return Next(Step.RETRY, reason=Reason.UNREACHABLE, pause=True)
    if status in {425, 429, 503}:
        # 503 comes from proxies too, which may have passed the request on.
        unsure = status == 503 and method in _WRITES
        return Next(Step.LOOK_UP if unsure else Step.RETRY, reason=Reason.BUSY, pause=True)
    if status == 408 or (status >= 500 and status != 501):
        return _after_server_error(method, status, attempts)
    return None


def _after_server_error(method: Method, status: int, attempts: int) -> Next:
    reason = Reason.SERVER_ERROR if status == 500 else Reason.NO_ANSWER
    if method not in _WRITES:
        return Next(Step.RETRY, reason=reason)
    if status == 500 and attempts >= MAX_SERVER_ERRORS:
        return Next(Step.REJECT, reason=reason)
    return Next(Step.LOOK_UP, reason=reason)


def _after_refused_capabilities(outcome: Refused) -> Next:
    reason = Reason.FORBIDDEN if outcome.status == 403 else Reason.NOT_FHIR
    return Next(Step.RETRY, reason=reason, pause=True)


def _after_refused_read(outcome: Refused) -> Next:
    return _not_there(outcome) or _rejected(outcome)


def _after_refused_search(outcome: Refused) -> Next:
    # No fault of a record's; not even 404 or 410, which say nothing of a single one here.
    return _not_fhir(outcome) or Next(Step.RETRY, reason=Reason.LOOKUP_REFUSED)


def _after_refused_create(outcome: Refused) -> Next:
    if outcome.status == 412:
        return Next(Step.REJECT, reason=Reason.SEVERAL_COPIES_THERE)
    return _not_fhir(outcome) or _rejected(outcome)


def _after_refused_update(outcome: Refused) -> Next:
    if outcome.status == NOT_MODIFIED:
        return Next(Step.READ_BACK)
    # Which of the two a stale If-Match brings depends on the server; Oracle and HAPI say 409.
    if outcome.status in {409, 412}:
        return Next(Step.MERGE, reason=Reason.CHANGED_ON_BOTH_SIDES)
    return _not_there(outcome) or _rejected(outcome)


def _after_refused_bundle(outcome: Refused) -> Next:
    # A bundle that is refused says nothing of any single record in it.
    if _not_fhir(outcome) or outcome.status in _NO_BUNDLES:
        return Next(Step.ONE_BY_ONE, reason=Reason.NOT_SUPPORTED)
    return Next(Step.SPLIT, reason=_rejected(outcome).reason)


def _not_there(outcome: Refused) -> Next | None:
    if outcome.status == 410 or (outcome.status == 404 and outcome.is_fhir):
        return Next(Step.GONE, reason=Reason.GONE_THERE)
    return _not_fhir(outcome)


def _not_fhir(outcome: Refused) -> Next | None:
    """Say what follows where the answer can be that of anything that speaks HTTP.

    A FHIR server hardly redirects, and says "not found" by an OperationOutcome. Some do, or say it
    without one: then the address tells whether the connection or the one record is meant.
    """
    if 300 <= outcome.status < 400 or (outcome.status == 404 and not outcome.is_fhir):
        return Next(Step.RETRY, reason=Reason.NOT_FHIR, pause=True, unless_fhir=True)
    return None


def _rejected(outcome: Refused) -> Next:
    return Next(Step.REJECT, reason=_REJECTIONS.get(outcome.status, Reason.REFUSED))


_AFTER_REFUSAL = {
    Method.CAPABILITIES: _after_refused_capabilities,
    Method.READ: _after_refused_read,
    Method.SEARCH: _after_refused_search,
    Method.CREATE: _after_refused_create,
    Method.UPDATE: _after_refused_update,
    Method.BUNDLE: _after_refused_bundle,
}


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
    moment = moment_in(header)
    return max(0.0, (moment - now).total_seconds()) if moment else None
