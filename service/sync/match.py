"""Who is who there: patients found by identifier, verified before a write; never created or guessed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from service.errors import Conflict, InvalidContent, NotFound
from service.fhir_answers import Failure, Found
from service.fhir_client import FHIRClient
from service.store.database import Database
from service.store.tables import Link, Record
from service.sync import match_policy, match_rows
from service.sync.identifiers import SameSystems, carried, chunked
from service.sync.match_policy import (
    Basis,
    Claim,
    Follow,
    Matched,
    PatientThere,
    Seek,
    Unmatched,
    Unverified,
)
from service.sync.match_rows import Kept, Standing
from service.sync.patient_lookup import ConnectionFailed, PatientLookup
from service.sync.project import Logical
from service.sync.reasons import Reason
from service.sync.subject_policy import subject_there

#: How long an unmatched patient is left before a pull looks again; a push looks whenever it is due.
RECHECK = timedelta(minutes=5)

#: Who writes a match down that nobody here has said.
SERVER = "server"

Judgement = Matched | Unmatched | Unverified


@dataclass(frozen=True)
class Match:
    """The one to write to or refer to, or why there is none, and what was looked for.

    waits: what was known still stands, but could not be verified just now.
    """

    server_id: str | None = None
    reason: Reason | None = None
    waits: bool = False
    sought: tuple[Logical, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MatchRules:
    """How long a match is believed, and which systems are one."""

    patients_for: timedelta = timedelta(hours=1)
    references_for: timedelta = timedelta(days=1)
    same_systems: SameSystems = ()


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """Links the patients here to those of one connection.

    takes_bundles: whether many can be read in one batch.
    """

    database: Database
    connection_id: str
    base_url: str
    client: FHIRClient
    takes_bundles: bool
    rules: MatchRules
    clock: Callable[[], datetime]

    def patients(self, patient_ids: Collection[str], *, at_once: bool = False) -> dict[str, Match] | Failure:
        """Return the match of each patient, verified where it is older than is believed.

        at_once: however young it is. A failure is the connection's, not a patient's.
        """
        lookup = self._lookup()
        kept: dict[str, Kept] = {}
        judged: dict[str, Judgement] = {}
        pending = set(patient_ids)
        try:
            while pending:
                with self.database.read() as session:
                    fresh = match_rows.read(session, self.connection_id, pending)
                kept |= fresh
                judged |= self._judge(fresh, lookup, at_once=at_once)
                # Who holds or claims the same Patient is looked at too, however young their match is.
                pending, at_once = self._rivals(judged), True
        except ConnectionFailed as stop:
            return stop.failure
        return self._settle(kept, judged)

    def accept(self, patient_id: str, server_id: str, actor: str) -> None:
        """Match a patient to the Patient whom a person names.

        Raises InvalidContent for one who cannot be read, is not in use, or is another patient's match here.
        """
        lookup = self._lookup()
        try:
            sight = lookup.sight(server_id)
        except ConnectionFailed:
            raise Conflict("The server does not answer; try again later") from None
        if not isinstance(sight, PatientThere) or not sight.is_active or sight.replaced_by is not None:
            problem = "is no Patient there who can be read and is in use"
            raise InvalidContent(Finding("server_id", problem, "not-found"))
        with self.database.begin() as session:
            kept = match_rows.read(session, self.connection_id, [patient_id])[patient_id]
            if not kept.claim.names:
                raise NotFound("There is no such patient here")
            if match_rows.rivals(session, self.connection_id, [server_id]) - {patient_id}:
                problem = "is the match of another patient here; merge the two if they are one person"
                raise InvalidContent(Finding("server_id", problem, "business-rule"))
            claim = Claim(kept.claim.names, server_id, (), Basis.PERSON, sight.names, is_matched=True)
            standing = Standing(patient_id=patient_id, claim=claim)
            match_rows.save(session, self.connection_id, [standing], actor, self.clock())

    def _lookup(self) -> PatientLookup:
        return PatientLookup(self.client, self.base_url, self.takes_bundles, self.rules.same_systems)

    def _judge(self, kept: dict[str, Kept], lookup: PatientLookup, *, at_once: bool) -> dict[str, Judgement]:
        judged: dict[str, Judgement] = {}
        for patient_id, one in kept.items():
            if not at_once and self._is_believed(one):
                judged[patient_id] = Matched(PatientThere(str(one.claim.server_id), one.claim.shown))
        claims = {patient_id: one.claim for patient_id, one in kept.items() if patient_id not in judged}
        lookup.look_at(
            [claim.server_id for claim in claims.values() if claim.server_id and not claim.is_stale]
        )
        sought: dict[str, Claim] = {}
        for patient_id, claim in claims.items():
            verdict = self._on_kept(claim, lookup)
            if verdict is Seek.BY_IDENTIFIER:
                sought[patient_id] = claim
            else:
                judged[patient_id] = verdict
        hits = lookup.search({patient_id: claim.names for patient_id, claim in sought.items() if claim.names})
        for patient_id, claim in sought.items():
            judged[patient_id] = self._on_hits(patient_id, claim, hits.get(patient_id, []), lookup)
        return judged

    def _is_believed(self, kept: Kept) -> bool:
        claim, now = kept.claim, self.clock()
        # A moment that has yet to come was written by a clock that was wrong.
        is_young = now - self.rules.patients_for < kept.checked_at <= now
        return claim.is_matched and not claim.is_stale and is_young

    def _on_kept(self, claim: Claim, lookup: PatientLookup) -> Judgement | Seek:
        if claim.server_id is None or claim.is_stale:
            return Seek.BY_IDENTIFIER
        verdict = match_policy.on_kept(claim, lookup.sight(claim.server_id), self.rules.same_systems)
        if isinstance(verdict, Follow):
            return self._successor(claim, claim.server_id, verdict, lookup)
        return verdict

    def _successor(self, claim: Claim, server_id: str, following: Follow, lookup: PatientLookup) -> Judgement:
        """Go from one who was merged to the one who is left."""
        before = {server_id}
        while True:
            if not following.server_id or following.server_id in before:
                return Unmatched(Reason.PATIENT_MERGED_THERE)
            sight = lookup.sight(following.server_id)
            before.add(following.server_id)
            verdict = match_policy.on_successor(claim, sight, before, self.rules.same_systems)
            if not isinstance(verdict, Follow):
                return verdict
            following = verdict

    def _on_hits(
        self, patient_id: str, claim: Claim, hits: list[PatientThere], lookup: PatientLookup
    ) -> Judgement:
        successors = []
        for hit in hits:
            if hit.replaced_by is not None:
                verdict = self._successor(claim, hit.server_id, Follow(hit.replaced_by), lookup)
                if isinstance(verdict, Unverified):
                    return verdict
                successors.append(verdict)
        found = match_policy.on_search(claim, hits, successors, self.rules.same_systems)
        if claim.server_id is None:
            return found
        if claim.is_stale:
            return self._on_new_evidence(claim, found, lookup)
        copies_are_about = isinstance(found, Matched) and self._copies_are_about(
            patient_id, found.patient.server_id
        )
        return match_policy.on_search_for_the_gone(claim, found, copies_are_about, self.rules.same_systems)

    def _on_new_evidence(self, claim: Claim, found: Matched | Unmatched, lookup: PatientLookup) -> Judgement:
        assert claim.server_id is not None
        kept = self._on_kept(replace(claim, is_stale=False), lookup)
        if isinstance(kept, Unverified):
            return kept
        if not isinstance(found, Matched) and claim.basis in (Basis.PERSON, Basis.LAUNCH):
            # It never rested on the identifiers here.
            return kept if isinstance(kept, Matched) else found
        is_successor = (
            isinstance(kept, Matched)
            and isinstance(found, Matched)
            and kept.patient.server_id == found.patient.server_id
        )
        return match_policy.on_new_evidence(claim, found, is_successor)

    def _copies_are_about(self, patient_id: str, server_id: str) -> bool:
        """Tell whether all copies of a patient's records can be read there, and are about this Patient."""
        with self.database.read() as session:
            copies = _copies(session, self.connection_id, patient_id)
        for resource_type, ids in copies.items():
            for chunk in chunked(ids):
                result = self.client.search_any(resource_type, "_id", chunk)
                if not isinstance(result, Found):
                    return False
                about = {
                    one["id"]
                    for one in result.resources
                    if subject_there(one, self.base_url).server_id == server_id
                }
                if about != set(chunk):
                    return False
        return True

    def _rivals(self, judged: dict[str, Judgement]) -> set[str]:
        there = {one.patient.server_id for one in judged.values() if isinstance(one, Matched)}
        with self.database.read() as session:
            return match_rows.rivals(session, self.connection_id, there) - judged.keys()

    def _settle(self, kept: dict[str, Kept], judged: dict[str, Judgement]) -> dict[str, Match]:
        """Write down what was seen; of two who are one there, neither is matched."""
        claimants: dict[str, list[str]] = {}
        for patient_id, verdict in judged.items():
            if isinstance(verdict, Matched):
                claimants.setdefault(verdict.patient.server_id, []).append(patient_id)
        disputed = {server_id for server_id, patient_ids in claimants.items() if len(patient_ids) > 1}
        matches: dict[str, Match] = {}
        standings: list[Standing] = []
        for patient_id, verdict in judged.items():
            standing = self._standing(patient_id, kept[patient_id], verdict, disputed)
            if standing is not None:
                standings.append(standing)
            matches[patient_id] = _match(verdict, standing)
        if standings:
            with self.database.begin() as session:
                match_rows.save(session, self.connection_id, standings, SERVER, self.clock())
        return matches

    def _standing(
        self, patient_id: str, kept: Kept, verdict: Judgement, disputed: set[str]
    ) -> Standing | None:
        """Return what is to be written down; None where nothing was learned."""
        claim = kept.claim
        if isinstance(verdict, Unverified):
            return None
        if isinstance(verdict, Unmatched):
            return Standing(
                patient_id=patient_id, claim=replace(claim, is_matched=False), reason=verdict.reason
            )
        there = verdict.patient
        if there.server_id in disputed:
            return Standing(
                patient_id=patient_id,
                claim=replace(claim, is_matched=False),
                reason=Reason.TWO_HERE_ONE_THERE,
                claimed_id=there.server_id,
            )
        if self._is_believed(kept) and there.server_id == claim.server_id:
            return None
        return Standing(patient_id=patient_id, claim=_renewed(claim, there, self.rules.same_systems))


def _renewed(claim: Claim, there: PatientThere, same_systems: SameSystems) -> Claim:
    """Return the claim that a matched Patient gives; what it rests on is what they show now."""
    if there.server_id == claim.server_id:
        earlier, basis = claim.earlier, claim.basis
    else:
        earlier, basis = (*claim.earlier, claim.server_id) if claim.server_id else (), None
    shown = there.names if basis is Basis.LAUNCH else tuple(carried(there.names, claim.names, same_systems))
    if basis is Basis.PERSON:
        shown = claim.shown
    return Claim(claim.names, there.server_id, earlier, basis or Basis.IDENTIFIER, shown, is_matched=True)


def _match(verdict: Judgement, standing: Standing | None) -> Match:
    if isinstance(verdict, Unverified):
        return Match(reason=verdict.reason, waits=True)
    if standing is not None and not standing.claim.is_matched:
        sought = tuple(("Patient", system, value) for system, value in standing.claim.names)
        return Match(reason=standing.reason, sought=sought)
    assert isinstance(verdict, Matched)
    return Match(verdict.patient.server_id)


def _copies(session: Session, connection_id: str, patient_id: str) -> dict[str, list[str]]:
    rows = session.execute(
        select(Link.resource_type, Link.server_id)
        .join(Record, Record.id == Link.record_id)
        .where(
            Link.connection_id == connection_id,
            Link.server_id.is_not(None),
            Record.patient_id == patient_id,
        )
    )
    copies: dict[str, list[str]] = {}
    for row in rows:
        copies.setdefault(row.resource_type, []).append(str(row.server_id))
    return copies
