"""A clock that stands still until it is told to move, in a time zone that is not UTC."""

from datetime import datetime, timedelta, timezone

# An offset, so that a lost one shows; a date near midnight would hide nothing more.
START = datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=1)))


class Clock:
    """Calling it tells the time, as calling a real clock does."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now

    def advance(self, *, seconds: float = 0, days: float = 0) -> None:
        self._now += timedelta(days=days, seconds=seconds)
