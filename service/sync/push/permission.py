"""Whether a connection may write at all, as the answers of one run tell it."""

from service.sync.push.results import Verdict, When
from service.sync.states import Reason, State

#: From so many records refused in a row, and none ever taken, it is the connection that may not write.
MOST_FORBIDDEN = 3


class Permission:
    """Holds what 403 seems to say of records until it is known to be about them.

    One that is forbidden among others that are taken is refused on its own account. Where nothing
    was ever taken, it may be the token's scope; then no record is at fault, and all of them wait.
    """

    def __init__(self) -> None:
        self._granted = False
        self._held: list[Verdict] = []
        self.is_denied = False

    def forbidden(self, verdict: Verdict) -> list[Verdict]:
        """Take the verdict on a record that was forbidden; return what is to be settled now."""
        if self._granted:
            return [verdict]
        if self.is_denied:
            return [_waiting(verdict)]
        self._held.append(verdict)
        self.is_denied = len(self._held) >= MOST_FORBIDDEN
        return [_waiting(one) for one in self.settled()] if self.is_denied else []

    def granted(self) -> list[Verdict]:
        """Note that something else came of a write; return what is known by that."""
        self._granted = True
        return self.settled()

    def settled(self) -> list[Verdict]:
        """Return what is still held, as it is."""
        held, self._held = self._held, []
        return held


def _waiting(verdict: Verdict) -> Verdict:
    return Verdict(verdict.job, State.PENDING, When.LATER, Reason.FORBIDDEN, verdict.outcome)
