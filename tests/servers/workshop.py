"""Where the servers are put together: the cache directory, its lock, and the programs that it takes."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


class MissingToolError(Exception):
    """A program that this machine has not got; the message says how to get it."""


class BuildError(Exception):
    """A program that is here failed; the message ends with what it printed."""


def cache_directory() -> Path:
    """Kept between runs; outside the clone if the user says where, so that a fresh clone can use it too."""
    outside = os.environ.get("XDG_CACHE_HOME")
    directory = Path(outside) / "mainstay" if outside else REPOSITORY / ".cache"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Two test runs on one machine build one after the other, and the second finds the work done."""
    with (directory / "building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find(program: str, advice: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise MissingToolError(f"{program} is not installed: {advice}")
    return path


def maven(*arguments: str) -> None:
    program = find("mvn", "install Maven 3.8 or later (Debian: apt-get install maven)")
    run(program, "--batch-mode", "--quiet", *arguments)


def run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
