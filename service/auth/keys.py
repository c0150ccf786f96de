"""The issuer's public keys: fetched by one at a time, while those at hand go on to serve everybody else."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from fhir_mappings.errors import Finding
from service.errors import Unavailable

#: A fetch has its own end in time, and it is before this.
_FETCH_SECONDS = 30

_log = logging.getLogger(__name__)


def in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="signing-keys", daemon=True).start()


@dataclass(frozen=True)
class _Held:
    """Keys, and when they were asked for."""

    keys: KeySet
    at: datetime


class KeySource:
    """The keys, asked for anew after ``max_age``, and when a token names one that is not among them.

    The latter at most once per ``min_interval``, or anyone could make us hammer the issuer with
    invented key ids. While the issuer is away, keys serve up to ``most_age``. Nobody waits for it
    but the one who began to ask and cannot do without the answer; all others are told to come back.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Any],
        clock: Callable[[], datetime],
        *,
        min_interval: timedelta = timedelta(seconds=30),
        max_age: timedelta = timedelta(hours=1),
        most_age: timedelta = timedelta(hours=24),
        run: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        self._url, self._fetch, self._clock, self._run = url, fetch, clock, run
        self._min_interval, self._max_age, self._most_age = min_interval, max_age, most_age
        #: Held to read and set what follows, never while the issuer is asked.
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._tried_at: datetime | None = None
        self._asking: threading.Event | None = None

    def refresh(self) -> None:
        """Begin to ask for the keys if they are old, and wait for nothing."""
        if self._held is None or self._older(self._held.at, self._max_age):
            self._begin()

    def keys(self) -> KeySet:
        """Return the keys at hand. Raises Unavailable where there are none and none can be had now."""
        if self._usable() is None:
            self._wait_for_newer()
        else:
            self.refresh()
        held = self._usable()
        if held is None:
            raise Unavailable([Finding("", "the keys that tokens are signed with cannot be fetched now")])
        return held.keys

    def newer_keys(self) -> KeySet:
        """Return the keys after another look, unless the last one was a moment ago.

        Raises Unavailable while somebody else is looking.
        """
        self._wait_for_newer()
        return self.keys()

    def _wait_for_newer(self) -> None:
        asking, is_ours = self._begin()
        if asking is not None and not is_ours:
            raise Unavailable([Finding("", "the keys that tokens are signed with are just being fetched")])
        if asking is not None:
            asking.wait(_FETCH_SECONDS)

    def _begin(self) -> tuple[threading.Event | None, bool]:
        """Begin to ask, unless somebody does or just did; return what tells its end, and whether we began."""
        with self._lock:
            if self._asking is not None:
                return self._asking, False
            if not self._older(self._tried_at, self._min_interval):
                return None, False
            self._tried_at = self._clock()
            self._asking = asking = threading.Event()
        self._run(self._ask)
        return asking, True

    def _ask(self) -> None:
        asked_at = self._clock()
        try:
            self._held = _Held(KeySet(list(_keys_in(self._fetch(self._url)))), asked_at)
        except Exception as error:
            # Whatever keeps the issuer from answering, the keys that we have still hold for a while.
            _log.warning("signing keys not fetched: %s", type(error).__name__)
        with self._lock:
            asking, self._asking = self._asking, None
        if asking is not None:
            asking.set()

    def _usable(self) -> _Held | None:
        held = self._held
        return None if held is None or self._older(held.at, self._most_age) else held

    def _older(self, at: datetime | None, age: timedelta) -> bool:
        # What lies in the future was noted by a clock that was wrong.
        return at is None or not timedelta() <= self._clock() - at < age


def _keys_in(document: Any) -> Iterator[Key]:
    """Yield the keys of a set that we understand; others are not ours to use (RFC 7517, section 5)."""
    for key in document["keys"]:
        try:
            yield JWKRegistry.import_key(key)
        except (JoseError, ValueError, TypeError, KeyError):
            _log.warning("a signing key of the issuer is of a kind that is not known here")
