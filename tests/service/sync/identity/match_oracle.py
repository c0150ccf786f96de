"""Whom the table of matches gives, worked out anew from what a register truly holds.

Knows nothing of how it is done in the service: it sees the register's truth, what was done here, and how
each patient was matched before. Where the table has no row, it gives nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.service.sync.registry import Person, Registry, Sight


@dataclass
class Kept:
    """Whom somebody was matched to last; by_person: on a person's word. shown: the numbers it rests on."""

    server_id: str
    by_person: bool
    shown: frozenset[str]


@dataclass
class Someone:
    """A patient here. is_new: their numbers were changed since the last match.

    standing: how they are matched as it is told in public. claims: they were looked for just now.
    """

    names: set[str]
    kept: Kept | None = None
    is_new: bool = False
    standing: str = ""
    claims: bool = False


@dataclass
class Unknown:
    """It cannot be told now."""


UNKNOWN = Unknown()
#: A search that was answered, and found nobody.
NOBODY = object()


@dataclass
class Oracle:
    """copies_about: of whom each copy of a patient's records is there, None for one that is hidden."""

    registry: Registry
    copies_about: Callable[[str], set[str | None]]
    people: dict[str, Someone] = field(default_factory=dict)

    def given(self, here: str) -> str | None:
        """Return to whom may be written for a patient, as all is now."""
        server_id = self._alone(here)
        if not isinstance(server_id, str):
            return None
        others = [other for other in self.people if other != here]
        if any(self._is_shown(other, server_id) or self._is_rival(other, server_id) for other in others):
            return None
        return server_id

    def _is_shown(self, other: str, server_id: str) -> bool:
        """Tell whether a Patient shows a number by which somebody else is registered here."""
        return bool(self.registry.people[server_id].names & self.people[other].names)

    def _is_rival(self, other: str, server_id: str) -> bool:
        """Tell whether somebody else is matched to a Patient, or known to claim them."""
        someone = self.people[other]
        alone = self._alone(other)
        is_known = someone.standing == "two-here-one-there" or someone.claims
        is_kept = someone.kept is not None and someone.kept.server_id == server_id
        holds = is_kept and (is_known or someone.standing == "matched")
        return holds if alone is UNKNOWN else alone == server_id and (holds or is_known)

    def _alone(self, here: str) -> str | Unknown | None:
        """Return who it would be if nobody else were here."""
        someone = self.people[here]
        if someone.kept is None:
            found = self._found(someone.names)
            return found if isinstance(found, (str, Unknown)) else None
        if someone.is_new:
            return self._by_new_names(someone, someone.kept)
        return self._as_kept(here, someone, someone.kept)

    def _as_kept(self, here: str, someone: Someone, kept: Kept) -> str | Unknown | None:
        sight = self.registry.sight(kept.server_id)
        if sight is Sight.GONE:
            return self._in_the_place_of_the_gone(here, someone, kept)
        return self._as_seen(someone, kept, sight)

    def _as_seen(self, someone: Someone, kept: Kept, sight: Person | str | Sight) -> str | Unknown | None:
        if sight is Sight.BLOCKED:
            return UNKNOWN
        if isinstance(sight, Person) and sight.into is None:
            return kept.server_id if sight.is_active and kept.shown <= sight.names else None
        return self._end_of_chain(kept.server_id, sight, someone.names)

    def _in_the_place_of_the_gone(self, here: str, someone: Someone, kept: Kept) -> str | Unknown | None:
        found = self._found(someone.names)
        if not isinstance(found, str):
            return UNKNOWN if found is UNKNOWN else None
        has_all = kept.shown <= self.registry.people[found].names
        is_other = found != kept.server_id
        return found if is_other and has_all and self.copies_about(here) <= {found} else None

    def _by_new_names(self, someone: Someone, kept: Kept) -> str | Unknown | None:
        found = self._found(someone.names)
        if found is UNKNOWN:
            return UNKNOWN
        sight = self.registry.sight(kept.server_id)
        if sight is Sight.BLOCKED:
            return UNKNOWN
        before = None if sight is Sight.GONE else self._as_seen(someone, kept, sight)
        if isinstance(before, Unknown):
            return UNKNOWN
        if found == kept.server_id or (found is not None and found == before):
            return str(found)
        return before if found is NOBODY and kept.by_person and before == kept.server_id else None

    def _found(self, names: set[str]) -> str | Unknown | object | None:
        """Return the one person a search leads to; NOBODY, or None where it leads to no single one."""
        if not self.registry.is_searchable:
            return UNKNOWN
        hits = self.registry.hits(names)
        left: set[str] = set()
        for server_id in hits:
            person = self.registry.people[server_id]
            if person.into is None:
                left |= {server_id} if person.is_active else set()
                continue
            end = self._end_of_chain(server_id, person, names)
            if isinstance(end, Unknown):
                return UNKNOWN
            left |= {end} if end else set()
        if len(left) == 1:
            return left.pop()
        return None if hits else NOBODY

    def _end_of_chain(
        self, server_id: str, sight: Person | str | Sight, names: set[str]
    ) -> str | Unknown | None:
        """Follow merges and redirections to who is left, if they are in use and have a number of ours."""
        way = {server_id}
        while True:
            if sight is Sight.BLOCKED:
                return UNKNOWN
            following = sight if isinstance(sight, str) and not isinstance(sight, Sight) else None
            if isinstance(sight, Person):
                following = sight.into
                if following is None:
                    return server_id if sight.is_active and sight.names & names else None
            if following is None or following in way:
                return None
            server_id = following
            way.add(server_id)
            sight = self.registry.sight(server_id)
