"""How long a client is waited for, and who has to go when there are too many. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar


class Wait(StrEnum):
    """What a client keeps its connection open for."""

    IDLE = "idle"  # nothing was asked yet, or nothing more
    HEAD = "head"  # a request has begun to arrive
    BODY = "body"  # its head is here
    ANSWER = "answer"  # the client takes what it asked for


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds for each wait; a body's begin with its head. connections: how many a process keeps open."""

    idle: float = 75  # a little longer than proxies keep a connection for the next request
    head: float = 10
    body: float = 60
    answer: float = 300
    connections: int = 400  # each may need a file as well, and 1024 files is what systems allow


class Waiting(Protocol):
    """A connection. waits_for: None while its request is worked on; since: when that wait began."""

    @property
    def waits_for(self) -> Wait | None: ...

    @property
    def since(self) -> float: ...


C = TypeVar("C", bound=Waiting)


def is_over(patience: Patience, connection: Waiting, now: float) -> bool:
    """Tell whether a client has had all the time that it gets."""
    wait = connection.waits_for
    return wait is not None and now - connection.since > getattr(patience, wait)


def first_to_go(connections: Iterable[C]) -> C | None:
    """Return the connection that has been waited for longest, None where all are being worked on.

    An honest client is never that one: what it sends is here a moment after it connected.
    """
    waiting = [one for one in connections if one.waits_for is not None]
    return min(waiting, key=lambda one: one.since, default=None)
