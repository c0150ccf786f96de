"""How often a property found anything to hold for: where all is refused, it says nothing."""

from typing import TypeVar

T = TypeVar("T")


class Tally:
    """Counts over one run of a property in how many cases there was something to look at."""

    def __init__(self, what: str) -> None:
        """what: what was tried, for people."""
        self._what = what
        self._cases = self._held = 0

    def counted(self, case: T | None) -> T | None:
        """Return a case as it is, None for one that was refused; both are counted."""
        self._cases += 1
        self._held += case is not None
        return case

    def require(self, share: float) -> None:
        """Fail unless at least this share of the cases could be looked at."""
        assert self._cases, f"{self._what}: nothing was tried"
        found = self._held / self._cases
        assert found >= share, f"{self._what}: {found:.0%} of {self._cases} were not refused"
