"""Whether a connection may write at all, as the answers of one run tell it. Pure."""

from typing import Generic, TypeVar

#: From so many records refused in a row, and none ever taken, it is the connection that may not write.
MOST_FORBIDDEN = 3

Result = TypeVar("Result")


class Permission(Generic[Result]):
    """Holds what 403 seems to say of records until it is known to be about them.

    One that is forbidden among others that are taken is refused on its own account. Where nothing
    was ever taken, it may be the token's scope; then no record is at fault, and all of them wait.
    """

    def __init__(self) -> None:
        self._granted = False
        self._held: list[Result] = []
        #: Whether nothing may be written; what is returned from then on is no record's fault.
        self.is_denied = False

    def forbidden(self, result: Result) -> list[Result]:
        """Take the result of a record that was forbidden; return those that are known to count now."""
        if self._granted or self.is_denied:
            return [result]
        self._held.append(result)
        self.is_denied = len(self._held) >= MOST_FORBIDDEN
        return self.held_back() if self.is_denied else []

    def granted(self) -> list[Result]:
        """Note that something else came of a write; return what is known by that."""
        self._granted = True
        return self.held_back()

    def held_back(self) -> list[Result]:
        """Return what is still held, as it is."""
        held, self._held = self._held, []
        return held
