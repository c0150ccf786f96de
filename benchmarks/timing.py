"""Side by side: each contender in turn, warm, five rounds, the median of each."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5

Contender = Callable[[], None]


@dataclass(frozen=True)
class Result:
    """Median seconds of each contender, in one run."""

    seconds: dict[str, float]

    def speed(self, contender: str, against: str) -> float:
        """Return how many times as fast a contender is as another."""
        return self.seconds[against] / self.seconds[contender]


def side_by_side(contenders: dict[str, Contender]) -> Result:
    """Run the contenders in turn, so that a drift of the machine meets all of them alike."""
    for contender in contenders.values():
        contender()
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            started = time.perf_counter()
            contender()
            rounds[name].append(time.perf_counter() - started)
    return Result({name: statistics.median(seconds) for name, seconds in rounds.items()})
