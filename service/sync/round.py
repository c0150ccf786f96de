"""One round of one connection: push, pull, comparison, and what is put right before and after them."""

from datetime import timedelta
from typing import Literal

import structlog

from service.sync import leases, policy
from service.sync.context import RunContext
from service.sync.pull.comparison import Comparison
from service.sync.pull.pull import Pull
from service.sync.push.push import Push
from service.sync.states import Reason

log = structlog.get_logger(__name__)

Direction = Literal["push", "pull", "compare"]


class Round:
    """What a run does with one connection."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def run(self, directions: tuple[Direction, ...]) -> None:
        """Go one way after the other, until there is a problem or it is time to stop."""
        try:
            self._bring_back()
            self._work(directions)
        except Exception:
            self._put_off()
            raise

    def _work(self, directions: tuple[Direction, ...]) -> None:
        report, may_write = self._context.report, True
        for direction in directions:
            if report.problem or self._context.stopping():
                break
            if direction != "push":
                (Pull if direction == "pull" else Comparison)(self._context).run()
            elif may_write:
                may_write = self._push()
        if not may_write and not report.problem:
            report.problem = Reason.FORBIDDEN

    def _push(self) -> bool:
        """Push; tell whether that is allowed. Who may not write may still read, so it is no problem yet."""
        Push(self._context).run()
        if self._context.report.problem != Reason.FORBIDDEN:
            return True
        self._context.report.problem = None
        return False

    def _bring_back(self) -> None:
        """Make due what waits for a moment that only a wrong clock can have named."""
        context = self._context
        with context.database.begin() as session:
            count = leases.bring_back(session, context.connection_id, context.clock())
        if count:
            log.warning("records waited for a moment in the far future", connection=context.name, count=count)

    def _put_off(self) -> None:
        """Give back what is still leased, later each time, so that what fails holds up no others for long."""
        context, now = self._context, self._context.clock()
        with context.database.begin() as session:
            for row in leases.leased(session, context.connection_id, context.owner):
                until = now + timedelta(seconds=policy.backoff_seconds(row.attempts + 1, context.rng))
                leases.postpone(session, context.connection_id, context.owner, row, until)
