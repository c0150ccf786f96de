"""Up to where a server's changes have been read; whose clock is believed for that."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from service.store.database import Database
from service.store.statements import chunks
from service.store.tables import Watermark

#: A large transaction can show up this long after it was dated (and clocks of a cluster differ).
OVERLAP = timedelta(minutes=2)
#: How far a clock may be ahead of ours and still be believed; what protocols with tickets allow too.
MOST_AHEAD = timedelta(minutes=5)


def is_ahead(server_time: datetime, now: datetime) -> bool:
    """Tell whether a server's time is beyond belief. One behind ours is none: it misses nothing."""
    return server_time > now + MOST_AHEAD


def is_skewed(server_time: datetime, now: datetime) -> bool:
    """Tell whether two clocks are so far apart, either way, that somebody has to know."""
    return abs(server_time - now) > MOST_AHEAD


def since(server_time: datetime | None, now: datetime) -> datetime:
    """Return from when on changes are to be asked for next: by the server's clock, if it can be believed.

    Resources are dated by that clock. Where it is ahead beyond belief, or says nothing, ours is
    the earlier one: it reads more than it has to, and misses nothing.
    """
    believed = now if server_time is None or is_ahead(server_time, now) else server_time
    try:
        return believed.astimezone(UTC) - OVERLAP
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


class Watermarks:
    """The watermarks of one connection, by scope: a resource type, or a patient who was read as a whole."""

    def __init__(self, database: Database, connection_id: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._connection_id = connection_id
        self._clock = clock

    def read(self) -> dict[str, str]:
        """Return the moments that say something; one in the future does not, whosever clock put it there."""
        with self._database.read() as session:
            rows = session.scalars(select(Watermark).where(Watermark.connection_id == self._connection_id))
            return {row.scope: row.since for row in rows if not self._is_void(row.since)}

    def move(self, scopes: Iterable[str], server_time: datetime | None) -> None:
        """Move watermarks, after what they stand for is kept; only one in the future is moved back."""
        moment = _instant(since(server_time, self._clock()))
        with self._database.begin() as session:
            for scope in scopes:
                mark = session.get(Watermark, (self._connection_id, scope))
                if mark is None:
                    session.add(Watermark(connection_id=self._connection_id, scope=scope, since=moment))
                elif mark.since < moment or self._is_void(mark.since):
                    mark.since = moment

    def drop(self, scopes: Iterable[str]) -> None:
        """Forget watermarks: the next time everything is read."""
        scopes = list(scopes)
        if not scopes:
            return
        with self._database.begin() as session:
            for chunk in chunks(scopes):
                session.execute(
                    delete(Watermark).where(
                        Watermark.connection_id == self._connection_id, Watermark.scope.in_(chunk)
                    )
                )

    def _is_void(self, text: str) -> bool:
        return text > _instant(self._clock() + MOST_AHEAD)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
