"""A client's connection: the loop takes in what it sends, and gives out what it gets; no thread waits."""

import socket
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

from service.http_server.patience import Wait, is_over
from service.http_server.refusal import Refusal

if TYPE_CHECKING:
    from service.http_server.loop import Loop


class TooSlow(Error):
    """What a client is told that took too long over a request."""

    code = 408
    reason = "Request Timeout"


class Channel(HTTPChannel):
    """since: when the client began to be waited for, for whatever it is that it is waited for now."""

    error_task_class = Refusal
    #: The one that is arriving; those that are here are in ``requests``.
    request: HTTPRequestParser | None
    requests: list[HTTPRequestParser]

    def __init__(self, server: "Loop", sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.since = server.clock()
        self._loop = server
        super().__init__(server, sock, addr, adj, map)

    @property
    def waits_for(self) -> Wait | None:
        """What the client is waited for, None while its request is worked on."""
        if self.requests:
            return None
        if self.total_outbufs_len:
            return Wait.ANSWER
        if self.request is None:
            return Wait.IDLE
        return Wait.BODY if self.request.headers_finished else Wait.HEAD

    def received(self, data: bytes) -> bool:
        before = self.request
        more: bool = super().received(data)
        if self.request is not before:
            self.since = self._loop.clock()
        return more

    def service(self) -> None:
        super().service()
        self.since = self._loop.clock()

    def end_if_over(self) -> None:
        """End the connection if its client has had all the time that it gets."""
        if not is_over(self._loop.patience, self, self._loop.clock()):
            return
        if self.waits_for in (Wait.HEAD, Wait.BODY):
            self._refuse(TooSlow(""))
        else:
            self.handle_close()

    def _refuse(self, error: Error) -> None:
        # As a request that is complete and wrong: the answer goes the way of all others, and closes.
        with self.requests_lock:
            late, self.request = self.request, None
            if late is not None:
                late.error = error
                self.requests.append(late)
        self._loop.add_task(self)
