"""The loop of one process: it accepts, reads whole requests, hands each to a thread, ends who is too slow.

waitress as it comes has no deadline for a client that sends a little now and then, and stops
accepting at its limit of connections; here one that is waited for has to make room.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from service.http_server.channel import Channel
from service.http_server.patience import Patience, Wait, first_to_go

#: A head holds a token and a query; whatever is larger is neither.
MAX_HEAD_BYTES = 32_768

#: How long an ending loop waits for requests that have begun to arrive.
_LAST_SECONDS = 2.0


class Loop(TcpWSGIServer):
    """Serves a WSGI app on a socket that listens already."""

    channel_class = Channel

    def __init__(
        self,
        app: Any,
        listening: socket.socket,
        *,
        threads: int,
        max_body_bytes: int,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience = patience or Patience()
        self.clock = clock
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(threads)
        super().__init__(
            app,
            {},
            _sock=listening,
            dispatcher=dispatcher,
            adj=_adjustments(max_body_bytes, self.patience.connections),
            bind_socket=False,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        )

    def turn(self, seconds: float = 1.0) -> None:
        """Take in and give out what can be, or wait so long for it; end connections whose time is over."""
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        for channel in list(self.active_channels.values()):
            channel.end_if_over()

    def handle_accept(self) -> None:
        if len(self.active_channels) >= self.patience.connections:
            slowest = first_to_go(self.active_channels.values())
            if slowest is not None:
                slowest.handle_close()
        super().handle_accept()

    def maintenance(self, now: float) -> None:
        """Do nothing: each turn ends what is over, and waitress's own rule knows no slow client."""

    def finish(self, seconds: float, while_it_lasts: Callable[[], None] = lambda: None) -> None:
        """Accept no more, finish what is being worked on and given out, for at most so long."""
        # The listening socket alone: threads wake the loop by its trigger until they have ended.
        wasyncore.dispatcher.close(self)
        begun = self.clock()
        while (elapsed := self.clock() - begun) < seconds and self._is_busy(elapsed):
            while_it_lasts()
            self.turn(0.1)
        self.task_dispatcher.shutdown(timeout=0)
        wasyncore.close_all(self._map)

    def _is_busy(self, elapsed: float) -> bool:
        waits = {channel.waits_for for channel in self.active_channels.values()}
        if elapsed < _LAST_SECONDS and waits & {Wait.HEAD, Wait.BODY}:
            return True
        return bool(waits & {None, Wait.ANSWER})


def _adjustments(max_body_bytes: int, connections: int) -> Adjustments:
    return Adjustments(
        host="127.0.0.1",
        ident="mainstay",
        server_name="localhost",
        # Of our own limit and the few sockets beside it; at this one waitress would stop accepting.
        connection_limit=connections + 100,
        max_request_header_size=MAX_HEAD_BYTES,
        # The marks between the chunks of a body count here; the app counts what the body holds.
        max_request_body_size=max_body_bytes + max_body_bytes // 50 + 1024,
        # A client that went away in the middle is nothing to write home about.
        log_socket_errors=False,
    )
