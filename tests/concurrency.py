"""Acts that happen at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.errors import ServiceError

TIMES = 8


def at_once(act: Callable[[int], Any]) -> list[Any]:
    """Call act in as many threads; return what each returned or was refused with."""
    ready = threading.Barrier(TIMES)

    def run(number: int) -> Any:
        ready.wait()
        try:
            return act(number)
        except ServiceError as refusal:
            return refusal

    with ThreadPoolExecutor(TIMES) as pool:
        return list(pool.map(run, range(TIMES)))
