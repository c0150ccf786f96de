"""What runs in each process of the server: the loop, as gunicorn wants it run."""

import contextlib
import os
from types import FrameType

from gunicorn.workers.base import Worker as Base

from service.http_server.loop import Loop


class Worker(Base):
    """Runs the loop until it is told to stop, or until nobody is left who could tell it."""

    _loop: Loop | None = None

    def run(self) -> None:
        (listening,) = self.sockets
        self._loop = Loop(
            self.wsgi,
            listening.sock,
            threads=self.cfg.threads,
            max_body_bytes=self.app.config.max_body_bytes,
        )
        while self.alive and os.getppid() == self.ppid:
            self.notify()
            self._loop.turn()
        # A second less than gunicorn waits: what is still going on then is ended here, and in order.
        self._loop.finish(self.cfg.graceful_timeout - 1, self.notify)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            # Told twice, as a whole group of processes is, the loop may be closed already.
            with contextlib.suppress(OSError):
                self._loop.pull_trigger()
