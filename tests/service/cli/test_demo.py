"""mainstay demo: the whole road, as a newcomer sees it."""

import re
import signal
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.service.cli.running import EXAMPLES, process


def test_the_demo_ends_with_everything_in_step(tmp_path: Path) -> None:
    demo = process("demo", "--once", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = demo.communicate(timeout=240)
    assert demo.returncode == 0, err
    rows = [line for line in out.decode().splitlines() if " synced" in line]
    assert len(rows) == len(EXAMPLES)
    changed = next(row for row in rows if "goal-school-run" in row)
    assert re.search(r"\bGoal +\S+ +2 +synced", changed)
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_demo_stays_up_until_it_is_ended(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    demo = process("demo", env={"TMPDIR": str(temporary)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert demo.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        line = demo.stderr.readline().decode()
        assert line, said
        said += line
    assert processes_with(f"TMPDIR={temporary}") != []
    addresses = re.findall(r"http://127\.0\.0\.1:\d+\S*[A-Za-z]", said)
    assert len(addresses) == 4
    for address in addresses:
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert list(temporary.iterdir()) == []
    assert processes_with(f"TMPDIR={temporary}") == []


def processes_with(variable: str) -> list[str]:
    """Return the processes whose environment has a variable: what a command started, it hands it on to."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable.encode() in environment.read_bytes().split(b"\0"):
                found.append(environment.parent.name)
    return found
