"""The sandbox on a loopback port: in the foreground, or in a thread for tests and the demo."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from service.sandbox.app import create_sandbox

LOOPBACK = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    """Says nothing on the terminal, and closes a connection that was dropped on purpose."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    def connection_dropped(self, _error: BaseException, _environ: dict[str, Any] | None = None) -> None:
        # Without an answer no header has said so, and the client would wait for one.
        self.close_connection = True


def serve(
    host: str = LOOPBACK,
    port: int = 0,
    ready: Callable[[str], None] | None = None,
    *,
    app: Flask | None = None,
) -> None:
    """Serve until interrupted; `ready` is told the base URL once requests are answered."""
    server = _bind(app or create_sandbox(), host, port)
    try:
        if ready is not None:
            ready(_base_url(server))
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


@contextmanager
def running(app: Flask | None = None, *, port: int = 0) -> Iterator[str]:
    """Serve in a thread as long as the block lasts; yields the base URL."""
    server = _bind(app or create_sandbox(), LOOPBACK, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield _base_url(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bind(app: Flask, host: str, port: int) -> BaseWSGIServer:
    return make_server(host, port, app, threaded=True, request_handler=_Handler)


def _base_url(server: BaseWSGIServer) -> str:
    return f"http://{server.host}:{server.port}/fhir"
