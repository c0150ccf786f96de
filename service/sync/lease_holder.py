"""Who is at work: a sign of life that the system takes away when its holder dies, however it dies."""

import fcntl
import os
import socket
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class LeaseHolder:
    """The holder of leases: a name, and a file of that name that is locked for as long as it lives.

    Only holders on this machine can be told to be gone; of others nothing is known, and their
    leases have to run out.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self.owner = f"{socket.gethostname()}:{uuid.uuid4()}"
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._file = open(self._path(self.owner), "w", opener=_for_us_alone)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self.forget(self.owner)
        self._file.close()

    def is_gone(self, owner: str) -> bool:
        """Tell whether a holder surely is dead: its file is here, and nobody holds it."""
        if owner.partition(":")[0] != self.owner.partition(":")[0]:
            return False
        try:
            with self._path(owner).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Held by somebody, or not here: in another container, or swept away.
            return False
        return True

    def forget(self, owner: str) -> None:
        """Remove the file of a holder whose leases have been taken over, or who ends."""
        self._path(owner).unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        name = Path(owner.partition(":")[2]).name
        return self._folder / f"mainstay-{name}.lease"


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
