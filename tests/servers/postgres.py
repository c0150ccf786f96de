"""Starts a real PostgreSQL on a free loopback port and hands out empty databases."""

import glob
import itertools
import os
import platform
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.servers import workshop

NEEDED = ("initdb", "pg_ctl", "postgres")
OWNER = "postgres"  # the superuser that initdb makes; trusted, on loopback alone
STOP_TIMEOUT_SECONDS = 30

# For machines without the server's own package: PostgreSQL's binaries, in a jar on Maven Central.
ARTIFACT_VERSION = "15.13.0"
ARTIFACT_PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64v8"}

# Lives as long as the tests' end of its standard input is open, and takes the server along when it goes.
GUARDIAN = 'cat >/dev/null; "$1/pg_ctl" --pgdata="$2" --mode=immediate --silent stop; rm -rf "$3"'


class PostgresServer:
    """One running server. It ends when this process does, however that happens."""

    def __init__(self, binaries: Path | None = None) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="mainstay-postgres-"))
        self._identity = unprivileged_identity()
        if self._identity:
            shutil.chown(self._home, self._identity["user"], self._identity["group"])
        self._numbers = itertools.count(1)
        try:
            self._binaries = binaries or installed_binaries() or self._unpack(artifact())
            self.port = free_port()
            self._initialise()
            self._guardian = self._start()
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _initialise(self) -> None:
        self._run(
            "initdb", "--auth=trust", f"--username={OWNER}", "--locale=C", "--encoding=UTF8", "--no-sync"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        # Durability is not under test here, and costs most of the time of creating a database.
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run(
            "pg_ctl",
            "--wait",
            "--silent",
            f"--log={self._home / 'log'}",
            "-o",
            f"-p {self.port} {options}",
            "start",
        )
        # In a session of its own, or Ctrl-C would end it before it has stopped the server.
        return subprocess.Popen(
            ["sh", "-c", GUARDIAN, "guardian", self._binaries, self._data, self._home],
            stdin=subprocess.PIPE,
            start_new_session=True,
            **self._everywhere(),
        )

    def _run(self, program: str, *arguments: str) -> None:
        """Into a file, not a pipe: the server inherits it, and a pipe would stay open as long as it runs."""
        command = [str(self._binaries / program), f"--pgdata={self._data}", *arguments]
        with (self._home / "output").open("w+") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **self._everywhere(),
            )
            output.seek(0)
            if done.returncode != 0:
                raise workshop.BuildError(f"{program} ended with {done.returncode}:\n{output.read()[-4000:]}")

    def _everywhere(self) -> dict[str, Any]:
        return {"cwd": self._home, **self._identity}

    def _unpack(self, jar: Path) -> Path:
        """Into our own directory, which the unprivileged user can read wherever the cache is."""
        target = self._home / "binaries"
        with zipfile.ZipFile(jar) as outer:
            [name] = [name for name in outer.namelist() if name.endswith(".txz")]
            with outer.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as inner:
                # The first patch releases of Python 3.11 have no filters and ignore this.
                inner.extraction_filter = getattr(tarfile, "data_filter", None)
                inner.extractall(target)
        return target / "bin"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of a database that nobody else has, gone afterwards with whatever is still connected."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait(STOP_TIMEOUT_SECONDS)
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def unprivileged_identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; anybody else runs it as they are."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def installed_binaries() -> Path | None:
    """The newest that is whole: libpq's own package brings a pg_config that points at an empty directory."""
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version_of, reverse=True)
    candidates = [Path(path) for path in versions]
    if on_path := shutil.which("initdb"):
        candidates.insert(0, Path(on_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        candidates.append(
            Path(
                subprocess.run(
                    [pg_config, "--bindir"], capture_output=True, text=True, check=True
                ).stdout.strip()
            )
        )
    return next((each for each in candidates if all((each / program).exists() for program in NEEDED)), None)


def version_of(directory: str) -> int:
    number = Path(directory).parent.name
    return int(number) if number.isdigit() else 0


def artifact() -> Path:
    machine = ARTIFACT_PLATFORMS.get(platform.machine())
    if machine is None:
        raise workshop.MissingToolError("PostgreSQL is not installed: Debian's package is postgresql")
    name = f"embedded-postgres-binaries-linux-{machine}"
    cache = workshop.cache_directory()
    jar = cache / f"{name}-{ARTIFACT_VERSION}.jar"
    with workshop.alone(cache):
        if not jar.exists():
            coordinates = f"io.zonky.test.postgres:{name}:{ARTIFACT_VERSION}"
            # Maven copies straight to the final name; a jar that is not whole fails at unpacking, by name.
            workshop.maven("dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={cache}")
    return jar


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
