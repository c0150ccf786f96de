"""Records brought there, those referred to first: by transactions where a server has them, else by levels."""

from typing import Protocol

import structlog

from service.errors import Unavailable
from service.sync.push.levels import Levels
from service.sync.push.packs import Group, jobs_of, packed
from service.sync.push.results import rejected
from service.sync.push.transactions import Transactions
from service.sync.push.window import Window
from service.sync.states import Reason

log = structlog.get_logger(__name__)


class Way(Protocol):
    """A way of sending."""

    def send(self, groups: list[Group]) -> None:
        """Bring groups there, or leave them on their way."""

    def finish(self) -> None:
        """Wait for what is on its way, and write down what came of it."""

    def abandon(self) -> None:
        """Wait until nothing is on its way any more, whatever came of it."""


class Sender:
    """Sends what a window holds, in order."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._levels = Levels(window)
        has_transaction = window.context.capabilities.has_transaction
        self._way: Way = Transactions(window) if has_transaction else self._levels

    def send(self, groups: list[Group]) -> None:
        """Bring groups there that may refer to one another, those referred to first."""
        context = self._window.context
        in_transaction = context.capabilities.has_transaction
        try:
            for pack in packed(groups, context.batch_size, in_transaction=in_transaction):
                self._send(pack)
            self._way.finish()
            self._window.write(context.permission.held_back())
        except Exception:
            # Leases are given back after this; nothing of ours may be on its way by then.
            self._way.abandon()
            raise

    def _send(self, pack: list[Group]) -> None:
        if self._window.is_pausing:
            self._window.release(jobs_of(pack))
        elif len(jobs_of(pack)) == 1:
            self._alone(pack[0])
        else:
            self._way.send(pack)

    def _alone(self, group: Group) -> None:
        """Send a single record; what goes wrong with it that nobody foresaw is no other's matter."""
        self._way.finish()
        if self._window.is_pausing:
            self._window.release(group)
            return
        try:
            self._levels.send([group])
        except Unavailable:
            raise
        except Exception as error:
            log.error("a record could not be sent", record_id=group[0].record_id, exc_info=error)
            self._window.write([rejected(group[0], Reason.FAILED_HERE)])
