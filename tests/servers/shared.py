"""One server for all processes of a test run: the first starts it, and stops it when the last is done."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers import workshop
from tests.servers.hapi import HapiServer


@contextlib.contextmanager
def shared(start: Callable[[], HapiServer], directory: Path) -> Iterator[str]:
    """Give the base URL of a server that all who name the same directory share."""
    address = directory / "base-url"
    server: HapiServer | None = None
    with (directory / "users").open("a") as users:
        with workshop.alone(directory):
            if not address.exists():
                server = start()
                address.write_text(server.base_url)
            # Whoever uses it holds the lock together with all others who do.
            fcntl.flock(users, fcntl.LOCK_SH)
            base_url = address.read_text()
        try:
            yield base_url
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            if server is not None:
                _stop_unused(server, users.fileno(), address, directory)


def _stop_unused(server: HapiServer, users: int, address: Path, directory: Path) -> None:
    with workshop.alone(directory):
        # Who comes later starts another one.
        address.unlink()
    fcntl.flock(users, fcntl.LOCK_EX)
    server.stop()
