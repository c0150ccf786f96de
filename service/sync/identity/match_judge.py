"""Claims judged by what one server shows: the effects between the rows of ``match_policy``."""

import random
from collections.abc import Mapping
from dataclasses import replace

from service.store.database import Database
from service.sync.identity import match_policy, match_rows
from service.sync.identity.identifiers import SameSystems
from service.sync.identity.match_policy import (
    Claim,
    Follow,
    Judgement,
    Matched,
    NotShown,
    PatientThere,
    Seek,
    Unmatched,
    Unverified,
)
from service.sync.identity.match_rows import Kept
from service.sync.identity.patient_lookup import PatientLookup
from service.sync.states import Reason


class Judge:
    """Judges claims during one pass. Raises ConnectionFailed."""

    def __init__(
        self,
        database: Database,
        connection_id: str,
        lookup: PatientLookup,
        same_systems: SameSystems,
        rng: random.Random,
    ) -> None:
        self._database = database
        self._connection_id = connection_id
        self._lookup = lookup
        self._same_systems = same_systems
        self._rng = rng

    def judge(self, kept: Mapping[str, Kept]) -> dict[str, Judgement]:
        """Say of each patient who they are there, by their id here."""
        claims = {patient_id: self._claim(kept[patient_id]) for patient_id in self._in_order(kept)}
        self._lookup.look_at(
            [claim.server_id for claim in claims.values() if claim.server_id and not claim.is_stale]
        )
        judged: dict[str, Judgement] = {}
        sought: dict[str, Claim] = {}
        for patient_id, claim in claims.items():
            judgement = self._on_kept(claim)
            if isinstance(judgement, Seek):
                sought[patient_id] = claim
            else:
                judged[patient_id] = judgement
        hits = self._lookup.search(
            {patient_id: claim.names for patient_id, claim in sought.items() if claim.names}
        )
        for patient_id, claim in sought.items():
            judged[patient_id] = self._on_hits(patient_id, claim, hits.get(patient_id, []))
        return judged

    def _claim(self, kept: Kept) -> Claim:
        is_in_doubt = match_policy.is_in_doubt(kept.claim, self._same_systems)
        return replace(kept.claim, is_stale=is_in_doubt)

    def _in_order(self, kept: Mapping[str, Kept]) -> list[str]:
        """Have those asked for first who were seen last: who never answers is not to hold up the others.

        Of those who were seen at one moment, others are the first each time.
        """
        ids = sorted(kept)
        self._rng.shuffle(ids)
        return sorted(ids, key=lambda patient_id: kept[patient_id].checked_at, reverse=True)

    def _on_kept(self, claim: Claim) -> Judgement | Seek:
        if claim.server_id is None or claim.is_stale:
            return Seek.BY_IDENTIFIER
        judgement = match_policy.on_kept(claim, self._lookup.sight(claim.server_id), self._same_systems)
        if isinstance(judgement, Follow):
            return self._successor(claim, claim.server_id, judgement)
        return judgement

    def _successor(self, claim: Claim, server_id: str, judgement: Judgement | Follow) -> Judgement:
        """Go from one who was merged to the one who is left."""
        way = [server_id]
        while isinstance(judgement, Follow):
            if not judgement.server_id or judgement.server_id in way:
                return Unmatched(Reason.PATIENT_MERGED_THERE)
            way.append(judgement.server_id)
            sight = self._lookup.sight(judgement.server_id)
            judgement = match_policy.on_successor(claim, sight, way, self._same_systems)
        return judgement

    def _on_hits(self, patient_id: str, claim: Claim, hits: list[PatientThere] | NotShown) -> Judgement:
        if isinstance(hits, NotShown):
            return match_policy.unverified(hits)
        successors = []
        for hit in hits:
            if hit.replaced_by is not None:
                judgement = self._successor(claim, hit.server_id, Follow(hit.replaced_by))
                if isinstance(judgement, Unverified):
                    return judgement
                successors.append(judgement)
        found = match_policy.on_search(claim, hits, successors, self._same_systems)
        if claim.server_id is None:
            return found
        if claim.is_stale:
            kept = self._on_kept(replace(claim, is_stale=False))
            return match_policy.on_new_evidence(claim, found, kept)
        return self._on_gone(patient_id, claim, found)

    def _on_gone(self, patient_id: str, claim: Claim, found: Matched | Unmatched) -> Judgement:
        copies_are_about: bool | None = False
        if isinstance(found, Matched):
            with self._database.read() as session:
                copies = match_rows.copies(session, self._connection_id, patient_id)
            copies_are_about = self._lookup.are_about(found.patient.server_id, copies)
        if copies_are_about is None:
            return match_policy.unverified(NotShown.NO_ANSWER)
        return match_policy.on_search_for_the_gone(claim, found, copies_are_about, self._same_systems)
