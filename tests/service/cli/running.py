"""Running the command line: within the test, or as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from service.cli import main

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.json"))


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def mainstay(
    *arguments: object, input: str | bytes | None = None, env: Mapping[str, str] | None = None
) -> Ended:
    """Run a command within this process."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=input, env=dict(env or {}))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def process(
    *arguments: object, env: Mapping[str, str] | None = None, wrapped: Sequence[str] = (), **options: Any
) -> "subprocess.Popen[bytes]":
    """Start a command as a process."""
    command = [*wrapped, sys.executable, "-m", "service.cli", *[str(one) for one in arguments]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.Popen(command, env=environment, **options)
