"""How the time of some work grows with its size, measured in a process of its own that ends in any case.

Work is a function of a test module: it is given a size, prepares what is needed, and returns what is timed.
Only CPU time counts, so that a busy machine is not taken for a slow program.
"""

import gc
import importlib
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

Work = Callable[[int], Callable[[], object]]

#: From one size to the other time grows fourfold where it is linear, and sixteenfold where it is quadratic.
STEP = 4
MOST_GROWTH = 8.0
#: So long at most for the larger size: what explodes is stopped.
MOST_SECONDS = 5
#: The least of so many times counts. More than the fewest are taken only where it does not look linear: what
#: disturbed one measure does not disturb the next, and what is quadratic stays so.
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 12
#: Shorter times are noise; they count as this long.
_LEAST_SECONDS = 0.002
_ROOT = Path(__file__).parents[1]


class Growth(NamedTuple):
    """The seconds for a size and for one STEP times as large; infinite where it was stopped."""

    small: float
    large: float

    @property
    def is_linear(self) -> bool:
        return self.large < MOST_GROWTH * max(self.small, _LEAST_SECONDS) < float("inf")


def growths(works: Sequence[tuple[Work, int]]) -> dict[str, Growth]:
    """Return by name how each work grows from its size on."""
    asked = [[work.__module__, work.__name__, size] for work, size in works]
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=_ROOT,
    )
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == len(asked), f"stopped at {asked[len(measured)]}: {done.stderr[-500:]}"
    return {name: Growth(small, large) for name, small, large in measured}


def _growth(work: Work, size: int) -> Growth:
    growth = Growth(float("inf"), float("inf"))
    for done in range(1, _MOST_ROUNDS + 1):
        small = min(growth.small, _seconds(work(size)))
        growth = Growth(small, min(growth.large, _seconds(work(STEP * size))))
        stopped = growth.large >= MOST_SECONDS
        if stopped or (done >= _FEWEST_ROUNDS and growth.is_linear):
            break
    return growth


def _seconds(act: Callable[[], object]) -> float:
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    started = time.process_time()
    try:
        act()
    except TimeoutError:
        return float("inf")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.process_time() - started


def _stop(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    signal.signal(signal.SIGPROF, _stop)
    # What the timer cannot interrupt, the system does.
    resource.setrlimit(resource.RLIMIT_CPU, (500, 500))
    gc.disable()
    for module, name, size in json.load(sys.stdin):
        growth = _growth(getattr(importlib.import_module(module), name), size)
        print(json.dumps([name, *growth]), flush=True)


if __name__ == "__main__":
    main()
