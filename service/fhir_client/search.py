"""Searches for any of many values: asked in pieces that the server takes, as it shows which those are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote

from service.fhir_client.outcomes import Cause, Failure, Found, Refused, Unknown

#: How many values one search asks for, and how long they may be in a URL: request lines above 8 kB
#: are refused by many servers, by some without a word.
MOST_VALUES = 25
MOST_CHARACTERS = 6_000

#: After so many single values refused, and none ever taken, the search itself is what is refused.
MOST_REFUSED = 3

#: What a search is answered with that asks for too much in one. 403: for one patient among several;
#: 404: for what is not there, as some servers have it.
_TOO_MUCH = {400, 403, 404, 413, 414, 422, 431}

#: What a FHIR server answers that has no such search.
_NOT_AT_ALL = {405, 501}

#: Searches for a parameter's values, with the other parameters, page by page.
Pages = Callable[[Mapping[str, str]], Iterator[Found | Failure]]
Values = tuple[str, ...]


class Pieces:
    """One search (a type, its parameters) of one server, and what was learned of it."""

    def __init__(self, pages: Pages, parameter: str) -> None:
        self._pages = pages
        self._parameter = parameter
        self._most = MOST_VALUES
        self._taken = False
        self._refused = 0
        self._refusal: Failure | None = None

    def ask(self, values: Sequence[str], more: Mapping[str, str]) -> Iterator[tuple[Values, Found | Failure]]:
        """Yield each page with the values that it answers; a failure is the last that comes of its values."""
        rest = tuple(dict.fromkeys(values))
        while rest:
            if self._refusal is not None:
                yield rest, self._refusal
                return
            piece = self._cut(rest)
            rest = rest[len(piece) :]
            for part, page in self._bisected(piece, more):
                if isinstance(page, Found) or _is_too_much(page) or _is_broken(page):
                    yield part, page
                else:
                    # Nobody answers, or not to this: it would be so for all that was still to be asked.
                    yield part + piece[piece.index(part[-1]) + 1 :] + rest, page
                    return

    def _bisected(self, piece: Values, more: Mapping[str, str]) -> Iterator[tuple[Values, Found | Failure]]:
        """Ask for a piece; if it is too much, for its halves, down to one value."""
        waiting = [piece]
        largest, refused_before = 0, self._refused
        while waiting and self._refusal is None:
            part = waiting.pop()
            pages = self._pages({**more, self._parameter: ",".join(part)})
            first = next(pages)
            if _is_too_much(first) and len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
                continue
            self._note(first)
            if isinstance(first, Found):
                largest = max(largest, len(part))
            yield part, first
            for page in pages:
                yield part, page
        if self._refusal is not None and waiting:
            yield tuple(value for part in reversed(waiting) for value in part), self._refusal
        if 0 < largest < len(piece) and self._refused == refused_before:
            # No single value was at fault, so it was their number.
            self._most = largest

    def _note(self, first: Found | Failure) -> None:
        if isinstance(first, Found):
            self._taken = True
        elif _is_too_much(first):
            self._refused += 1
            if self._refused >= MOST_REFUSED and not self._taken:
                self._refusal = first
        elif isinstance(first, Refused) and first.is_fhir and first.status in _NOT_AT_ALL:
            self._refusal = first

    def _cut(self, values: Values) -> Values:
        piece: list[str] = []
        length = 0
        for value in values[: self._most]:
            length += len(quote(value, safe="")) + 3
            if piece and length > MOST_CHARACTERS:
                break
            piece.append(value)
        return tuple(piece)


def _is_broken(page: Found | Failure) -> bool:
    """Tell whether a search led nowhere after its first page; another one may have no second."""
    return isinstance(page, Unknown) and page.cause is Cause.FOREIGN_LINK


def _is_too_much(page: Found | Failure) -> bool:
    """Tell whether less may be answered; a 404 of whoever speaks HTTP says nothing of a search."""
    if isinstance(page, Unknown):
        return page.cause is Cause.OTHER_RESOURCE
    if not isinstance(page, Refused) or (page.status == 404 and not page.is_fhir):
        return False
    # Below 300 it is an outcome that refuses, and by which of its codes is anybody's guess.
    return page.status in _TOO_MUCH or page.status < 300
