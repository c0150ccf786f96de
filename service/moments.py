"""Moments that others name, also those beyond the ends of the calendar. Pure."""

from datetime import UTC, datetime, timedelta

#: Nothing happened before the one, or will after the other.
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; an offset that leads out of the calendar leads to its end."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == FIRST.year else LAST


def later(moment: datetime, by: timedelta) -> datetime:
    """Return a moment so much later, the last one at most."""
    try:
        return moment + by
    except OverflowError:
        return LAST
