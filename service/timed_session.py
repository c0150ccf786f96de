"""HTTP whose answers end in time.

An answer has one deadline from its first byte to its last. The timeout of a socket counts for each
read anew, so a server that drips would hold us for hours; here each read gets what is left.
"""

import http.client
import io
import socket
import ssl
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError


class TimedSession(requests.Session):
    """A session whose answers have a deadline, and that never looks where a redirect leads.

    Even when it is told not to follow one, requests reads it: its whole body, and a Location that
    may not parse.
    """

    def __init__(self) -> None:
        super().__init__()
        for prefix in ("http://", "https://"):
            self.mount(prefix, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Timed(io.RawIOBase):
    """The bytes of a socket, each read within what is left until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._raw = raw
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer, head and body, within the time that its socket allows for one read."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        seconds = sock.gettimeout()
        if seconds is not None:
            timed = _Timed(self.fp.detach(), sock, time.monotonic() + seconds)
            self.fp = io.BufferedReader(timed)


class Untrusted(NewConnectionError):
    """The server's certificate or TLS was refused, so nothing was asked of it."""


class _HTTPConnection(HTTPConnection):
    # What is sent needs no such care: sendall counts its timeout once over all that it sends.
    response_class = _Answer


class _HTTPSConnection(HTTPSConnection):
    response_class = _Answer

    def connect(self) -> None:
        # An error of TLS can come in the middle of an answer too; only here it means that nothing was sent.
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no TLS in time") from error
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise Untrusted(self, "no trusted connection") from error
        except OSError as error:
            raise NewConnectionError(self, "no TLS") from error


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
