"""Starts a real FHIR server, HAPI FHIR JPA (R4): `python -m tests.servers.hapi` keeps one running."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import workshop

SOURCES = Path(__file__).parent / "hapi"
US_CORE = workshop.REPOSITORY / "tests/data/us-core-6.1.0/profiles.tgz"
JAVA_ADVICE = (
    "install a Java development kit, 17 or later (Debian: apt-get install default-jdk-headless maven)"
)
START_TIMEOUT_SECONDS = 180
STOP_TIMEOUT_SECONDS = 60

# A server that lives for minutes gains nothing from the optimising compiler or a parallel collector: without
# them it starts in two thirds of the time. 1 GiB because in-memory data lives in the heap; 512 MiB thrashes.
JVM_OPTIONS = (
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


@dataclass(frozen=True)
class Build:
    """What Maven and javac made once: the jars, in an order that the class-data archive relies on."""

    directory: Path

    @property
    def class_path(self) -> str:
        return os.pathsep.join(str(jar) for jar in sorted((self.directory / "lib").glob("*.jar")))

    @property
    def archive(self) -> Path:
        return self.directory / "classes.jsa"


class HapiServer:
    """One running server. It ends when this process does, however that happens: its standard input closes."""

    def __init__(self, profiles: Path = US_CORE) -> None:
        self._build = build()
        self._scratch = Path(tempfile.mkdtemp(prefix="mainstay-hapi-"))
        self._new_archive = self._scratch / "classes.jsa"
        self._process = self._launch(profiles)
        try:
            self.base_url = self._await_url()
        except BaseException:
            self._process.kill()
            self.stop()
            raise

    def _launch(self, profiles: Path) -> subprocess.Popen[bytes]:
        sharing = self._class_data_sharing()
        command = [find_java(), *JVM_OPTIONS, *sharing, "-cp", self._build.class_path, "FhirServer"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*command, self._url_file, profiles],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; the server goes when we do
            )

    def _class_data_sharing(self) -> list[str]:
        if self._build.archive.exists():
            return [f"-XX:SharedArchiveFile={self._build.archive}"]
        # Writing the archive costs half a minute once and saves a few seconds at each start after it.
        return [] if os.environ.get("CI") else [f"-XX:ArchiveClassesAtExit={self._new_archive}"]

    @property
    def _log(self) -> Path:
        return self._scratch / "log"

    @property
    def _url_file(self) -> Path:
        return self._scratch / "url"

    def _await_url(self) -> str:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._url_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise workshop.BuildError(
                    f"HAPI did not start:\n{self._log.read_text(errors='replace')[-4000:]}"
                )
            time.sleep(0.1)
        return self._url_file.read_text()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            ended_well = self._process.wait(STOP_TIMEOUT_SECONDS) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            ended_well = self._process.wait() == 0
        if ended_well and self._new_archive.exists():
            self._keep_archive()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _keep_archive(self) -> None:
        """The first server's loaded classes, for the starts to come; renamed into place, never half there."""
        unfinished = self._build.archive.with_suffix(f".{os.getpid()}")
        shutil.copyfile(self._new_archive, unfinished)
        unfinished.replace(self._build.archive)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find_java() -> str:
    return workshop.find("java", JAVA_ADVICE)


def build() -> Build:
    """The class path, put together once per pom.xml, Java file and Java: later starts need no Maven."""
    version = java_version()
    key = hashlib.sha256(version.encode())
    for source in (SOURCES / "pom.xml", SOURCES / "FhirServer.java"):
        key.update(source.read_bytes())
    home = workshop.cache_directory() / f"hapi-{key.hexdigest()[:16]}"
    home.mkdir(exist_ok=True)
    with workshop.alone(home):
        if not (home / "lib").exists():
            assemble(home)
    return Build(home)


def java_version() -> str:
    said = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=True).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < 17:
        raise workshop.MissingToolError(f"Java here is too old ({said.splitlines()[0]}): {JAVA_ADVICE}")
    return said


def assemble(home: Path) -> None:
    """All jars, ours among them: a class-data archive accepts no directory on the class path."""
    javac, jar = workshop.find("javac", JAVA_ADVICE), workshop.find("jar", JAVA_ADVICE)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        lib, classes = Path(scratch) / "lib", Path(scratch) / "classes"
        pom, source = SOURCES / "pom.xml", SOURCES / "FhirServer.java"
        workshop.maven(
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={lib}",
            "-DincludeScope=runtime",
        )
        workshop.run(javac, "-proc:none", "-nowarn", "-cp", f"{lib}/*", "-d", str(classes), str(source))
        workshop.run(jar, "--create", "--file", str(lib / "fhir-server.jar"), "-C", str(classes), ".")
        lib.rename(home / "lib")


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with HapiServer() as server:
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
