"""Lines set aside until what they refer to is there: on disk, each read again once nothing is lacking."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import IO

from fhir_mappings import exact_json
from service.cli.inputs import Item


class Waiting:
    """Lines by what they lack. However long the chain that they make, each is read again once."""

    def __init__(self, spool: IO[bytes]) -> None:
        """spool: a file of the caller's own, for reading and writing, that is empty."""
        self._spool = spool
        #: Where in the spool those begin that lack something, and how much of it.
        self._lacking: Counter[int] = Counter()
        self._by_name: dict[str, list[int]] = {}

    def add(self, item: Item, lacks: Collection[str]) -> None:
        """Set a line aside; lacks: the names of what is not there, none where that cannot be told."""
        place = self._spool.seek(0, 2)
        self._spool.write(exact_json.dump([item.where, item.tree]).encode() + b"\n")
        self._lacking[place] = max(1, len(set(lacks)))
        for name in set(lacks):
            self._by_name.setdefault(name, []).append(place)

    def found(self, name: str) -> Iterator[Item]:
        """Yield the lines that lack nothing more, now that this is there; they wait no longer."""
        for place in self._by_name.pop(name, ()):
            self._lacking[place] -= 1
            if not self._lacking[place]:
                del self._lacking[place]
                yield self._read(place)

    def left(self) -> Iterator[Item]:
        """Yield the lines that still wait, in the order in which they came; they wait no longer."""
        for place in sorted(self._lacking):
            if self._lacking.pop(place, 0):
                yield self._read(place)

    def _read(self, place: int) -> Item:
        self._spool.seek(place)
        where, tree = exact_json.parse(self._spool.readline())
        return Item(where, tree)
