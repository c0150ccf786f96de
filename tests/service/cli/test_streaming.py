"""Long inputs and short patience: memory stays where it is, and a reader who goes away is no error."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.service.cli.running import process
from tests.service.cli.test_translate import GOAL

# As a test would have it: the peak of the child alone, in KiB, whatever else this process ran before.
MEASURED = (
    "import resource, subprocess, sys;"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr);"
    "sys.exit(code)"
)


def peak_kib(*arguments: object) -> int:
    child = process(*arguments, wrapped=[sys.executable, "-c", MEASURED], stderr=subprocess.PIPE)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    return int(err.split()[-1])


def goals(path: Path, count: int) -> Path:
    with path.open("w") as file:
        for number in range(count):
            file.write(json.dumps({**GOAL, "id": str(number), "description": {"text": "x" * 500}}) + "\n")
    return path


@pytest.mark.parametrize("command", ["translate", "validate"])
def test_a_hundred_times_the_lines_need_no_more_memory(tmp_path: Path, command: str) -> None:
    few, many = (peak_kib(command, goals(tmp_path / "goals.ndjson", count)) for count in (200, 20_000))
    assert many / few < 1.05


def test_originals_and_report_stream_too(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        originals = goals(tmp_path / "goals.ndjson", count)
        records = tmp_path / "records.ndjson"
        with records.open("w") as out:
            assert process("translate", originals, stdout=out).wait(timeout=300) == 0
        return peak_kib("translate", records, "--onto", originals, "--report", tmp_path / "report")

    assert peak(10_000) / peak(200) < 1.05


def test_a_reader_who_goes_away_is_no_error(tmp_path: Path) -> None:
    source = goals(tmp_path / "goals.ndjson", 5_000)
    child = process("translate", source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert (child.wait(timeout=60), said) == (0, b"")


def test_ctrl_c_ends_with_130() -> None:
    pipe = subprocess.PIPE
    child = process("translate", "-", stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=hear_ctrl_c)
    assert child.stdin is not None
    assert child.stdout is not None
    # Until the first output, the signal could come before the command runs.
    threading.Thread(target=feed, args=(child.stdin,), daemon=True).start()
    child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    said = b""
    with ThreadPoolExecutor() as pool:
        drained = pool.submit(child.stdout.read)
        assert child.stderr is not None
        said = child.stderr.read()
        drained.result(timeout=60)
    assert child.wait(timeout=60) == 130
    assert b"Traceback" not in said
    child.stdout.close()
    child.stderr.close()


def hear_ctrl_c() -> None:
    # What a shell starts in the background ignores SIGINT, and so do its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def feed(to: IO[bytes]) -> None:
    with suppress(OSError, ValueError), to:
        while True:
            to.write(json.dumps(GOAL).encode() + b"\n")
