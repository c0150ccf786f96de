"""Who is who there: patients found by identifier, verified before a write; never created or guessed."""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta

from fhir_mappings.errors import Finding
from fhir_mappings.references import Name
from service.errors import Conflict, InvalidContent, NotFound
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Failure
from service.store.database import Database
from service.sync.identity import match_disputes, match_rows, match_writes
from service.sync.identity.identifiers import SameSystems, carried
from service.sync.identity.match_disputes import Disputed
from service.sync.identity.match_judge import Judge
from service.sync.identity.match_policy import (
    Basis,
    Claim,
    Judgement,
    Matched,
    NotShown,
    PatientThere,
    Redirected,
    Unmatched,
    Unverified,
    is_in_doubt,
)
from service.sync.identity.match_rows import Kept, Standing
from service.sync.identity.patient_lookup import ConnectionFailed, PatientLookup
from service.sync.identity.references import Logical
from service.sync.states import Reason

#: How long an unmatched patient is left before a pull looks again; a push looks whenever it is due.
RECHECK = timedelta(minutes=5)

#: How often patients are judged anew whom somebody else decided about in the meantime.
MOST_TRIES = 3

#: Who writes a match down that nobody here has said.
SERVER = "server"


@dataclass(frozen=True)
class Match:
    """The one to write to or refer to, or why there is none, and what was looked for.

    waits: what was known still stands, but could not be verified just now. is_believed: it was made
    a while ago, and not looked at now.
    """

    server_id: str | None = None
    _: KW_ONLY
    reason: Reason | None = None
    waits: bool = False
    sought: tuple[Logical, ...] = ()
    is_believed: bool = False


@dataclass(frozen=True, kw_only=True)
class MatchRules:
    """How long a match is believed, and which systems are one."""

    patients_for: timedelta = timedelta(hours=1)
    references_for: timedelta = timedelta(days=1)
    same_systems: SameSystems = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A patient whose match is at issue. is_seen: they were looked at, and not believed unseen."""

    kept: Kept
    judgement: Judgement
    is_seen: bool


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
    rng: random.Random = field(default_factory=random.Random)

    def patients(self, patient_ids: Collection[str], *, at_once: bool = False) -> dict[str, Match] | Failure:
        """Return the match of each patient, verified where it is older than is believed.

        at_once: however young it is. A failure is the connection's, not a patient's.
        """
        lookup = self._lookup()
        judge = Judge(self.database, self.connection_id, lookup, self.rules.same_systems, self.rng)
        matches: dict[str, Match] = {}
        wanted = set(patient_ids)
        for _ in range(MOST_TRIES):
            try:
                cases = self._cases(wanted, judge, at_once=at_once)
            except ConnectionFailed as stop:
                return stop.failure
            outcomes = self._write_down(cases)
            matches |= outcomes
            wanted = cases.keys() - outcomes.keys()
            if not wanted:
                return matches
        return matches | dict.fromkeys(wanted, _match(Unverified(Reason.PATIENT_NOT_VERIFIED), None))

    def accept(self, patient_id: str, server_id: str, actor: str) -> None:
        """Match a patient to the Patient whom a person names.

        Raises InvalidContent for one who cannot be read, is not in use, or is another patient's match here.
        """
        lookup = self._lookup()
        with self.database.read() as session:
            last = match_rows.read(session, self.connection_id, [patient_id])[patient_id].claim
        try:
            sight = lookup.sight(server_id)
            earlier = _passed(last, server_id, lookup)
        except ConnectionFailed:
            raise Conflict("The server does not answer; try again later") from None
        if not isinstance(sight, PatientThere) or not sight.is_active or sight.replaced_by is not None:
            problem = "is no Patient there who can be read and is in use"
            raise InvalidContent(Finding("server_id", problem, "not-found"))
        with self.database.begin() as session:
            kept = match_rows.read(session, self.connection_id, [patient_id])[patient_id]
            if not kept.claim.names:
                raise NotFound("There is no such patient here")
            rivals = match_rows.rivals(session, self.connection_id, [server_id])
            called = match_rows.called(session, sight.names, self.rules.same_systems)
            claimants = rivals.get(server_id, set()) | {one for owners in called.values() for one in owners}
            if claimants - {patient_id}:
                problem = "is the match of another patient here; merge the two if they are one person"
                raise InvalidContent(Finding("server_id", problem, "business-rule"))
            claim = Claim(
                kept.claim.names,
                server_id=server_id,
                earlier=earlier,
                basis=Basis.PERSON,
                shown=sight.names,
                is_matched=True,
            )
            standing = Standing(patient_id=patient_id, kept=kept, claim=claim)
            if match_writes.save(session, self.connection_id, [standing], actor, self.clock()):
                raise Conflict("The patient was changed at the same moment; look again")

    def expire(self, patient_ids: Collection[str]) -> None:
        """Have patients looked at again before anything more is written to them."""
        with self.database.begin() as session:
            match_writes.expire(session, self.connection_id, patient_ids)

    def shows_nobody(self, matches: Collection[Match]) -> bool:
        """Tell whether the server shows no Patient at all, which is no patient's matter but the connection's.

        Of a single one that cannot be told, nor while somebody else was shown not long ago.
        """
        hidden = Reason.PATIENT_NOT_READABLE_THERE
        if len(matches) < 2 or not all(one.waits and one.reason is hidden for one in matches):
            return False
        with self.database.read() as session:
            since = self.clock() - self.rules.patients_for
            return not match_rows.anybody_checked(session, self.connection_id, since)

    def _lookup(self) -> PatientLookup:
        return PatientLookup(self.client, self.base_url, self.takes_bundles, self.rules.same_systems)

    def _cases(self, patient_ids: Collection[str], judge: Judge, *, at_once: bool) -> dict[str, Case]:
        cases: dict[str, Case] = {}
        pending = set(patient_ids)
        while pending:
            with self.database.read() as session:
                kept = match_rows.read(session, self.connection_id, pending)
            unseen = {key: one for key, one in kept.items() if not at_once and self._is_believed(one)}
            judged = judge.judge({key: one for key, one in kept.items() if key not in unseen})
            for key, one in kept.items():
                judgement = judged[key] if key in judged else _as_kept(one)
                cases[key] = Case(kept=one, judgement=judgement, is_seen=key in judged)
            # Who holds or claims the same Patient is looked at too, however young their match is.
            pending, at_once = self._rivals(cases), True
        return cases

    def _is_believed(self, kept: Kept) -> bool:
        claim, now = kept.claim, self.clock()
        # A moment that has yet to come was written by a clock that was wrong.
        is_young = now - self.rules.patients_for < kept.checked_at <= now
        return claim.is_matched and is_young and not is_in_doubt(claim, self.rules.same_systems)

    def _rivals(self, cases: Mapping[str, Case]) -> set[str]:
        """Return who has to be looked at since they are, or may be, one with somebody else."""
        claims = match_disputes.claimants({key: case.judgement for key, case in cases.items()})
        with self.database.read() as session:
            held = match_rows.rivals(session, self.connection_id, claims)
        parties = [mine | held.get(server_id, set()) for server_id, mine in claims.items()]
        disputants = {key for some in parties if len(some) > 1 for key in some}
        return {key for key in disputants if key not in cases or not cases[key].is_seen}

    def _write_down(self, cases: Mapping[str, Case]) -> dict[str, Match]:
        """Write down what was seen; return no match of those about whom somebody else just decided."""
        held = {
            key: case.kept.holds() for key, case in cases.items() if isinstance(case.judgement, Unverified)
        }
        judged = {key: case.judgement for key, case in cases.items()}
        seen = [case.judgement for case in cases.values() if case.is_seen]
        called = self._called([one.patient for one in seen if isinstance(one, Matched)])
        settled = match_disputes.settled(judged, held, called, self.rules.same_systems)
        standings = {key: self._standing(key, cases[key], one) for key, one in settled.items()}
        overtaken = self._save([one for one in standings.values() if one is not None])
        matches = {key: _match(one, standings[key]) for key, one in settled.items()}
        return {
            key: replace(match, is_believed=not cases[key].is_seen)
            for key, match in matches.items()
            if key not in overtaken
        }

    def _called(self, seen: Collection[PatientThere]) -> dict[Name, set[str]]:
        """Return who is registered here by what Patients there show."""
        names = {name for there in seen for name in there.names}
        if not names:
            return {}
        with self.database.read() as session:
            return match_rows.called(session, names, self.rules.same_systems)

    def _save(self, standings: list[Standing]) -> set[str]:
        """Write standings down; return whose it was too late for."""
        if not standings:
            return set()
        try:
            with self.database.begin() as session:
                return match_writes.save(session, self.connection_id, standings, SERVER, self.clock())
        except Conflict:
            # Another worker has just matched somebody else to one of these Patients.
            return {one.patient_id for one in standings}

    def _standing(self, patient_id: str, case: Case, judgement: Judgement | Disputed) -> Standing | None:
        """Return what is to be written down; None where nothing was learned."""
        kept = case.kept
        if isinstance(judgement, Unverified):
            return None
        if isinstance(judgement, Matched):
            there = judgement.patient
            if self._is_believed(kept) and there.server_id == kept.claim.server_id:
                return None
            claim = _renewed(kept.claim, judgement, self.rules.same_systems)
            return Standing(patient_id=patient_id, kept=kept, claim=claim)
        claim = replace(kept.claim, is_matched=False)
        if isinstance(judgement, Unmatched):
            return Standing(patient_id=patient_id, kept=kept, claim=claim, reason=judgement.reason)
        return Standing(
            patient_id=patient_id,
            kept=kept,
            claim=claim,
            reason=Reason.TWO_HERE_ONE_THERE,
            claimed_id=judgement.patient.server_id,
        )


def _passed(last: Claim, server_id: str, lookup: PatientLookup) -> tuple[str, ...]:
    """Return who became the Patient whom a person names: nobody, if the last one lives on beside them.

    What was written there about somebody who lives on is theirs. Raises ConnectionFailed.
    """
    if last.server_id is None or last.server_id == server_id:
        return last.earlier
    sight = lookup.sight(last.server_id)
    into = sight.server_id if isinstance(sight, Redirected) else getattr(sight, "replaced_by", None)
    is_passed = sight is NotShown.GONE or into == server_id
    return (*last.earlier, last.server_id) if is_passed else ()


def _as_kept(kept: Kept) -> Matched:
    return Matched(PatientThere(str(kept.claim.server_id), names=kept.claim.shown))


def _renewed(claim: Claim, matched: Matched, same_systems: SameSystems) -> Claim:
    """Return the claim that a matched Patient gives; what it rests on is what they show now."""
    there = matched.patient
    before = (*claim.earlier, *([claim.server_id] if claim.server_id else []), *matched.merged)
    earlier = tuple(one for one in dict.fromkeys(before) if one != there.server_id)
    basis = claim.basis if there.server_id == claim.server_id else None
    shown = there.names if basis is Basis.LAUNCH else tuple(carried(there.names, claim.names, same_systems))
    if basis is Basis.PERSON:
        shown = claim.shown
    return Claim(
        claim.names,
        server_id=there.server_id,
        earlier=earlier,
        basis=basis or Basis.IDENTIFIER,
        shown=shown,
        is_matched=True,
    )


def _match(judgement: Judgement | Disputed, standing: Standing | None) -> Match:
    if isinstance(judgement, Unverified):
        return Match(reason=judgement.reason, waits=True)
    if isinstance(judgement, Matched):
        return Match(judgement.patient.server_id)
    assert standing is not None
    sought = tuple(("Patient", system, value) for system, value in standing.claim.names)
    return Match(reason=standing.reason, sought=sought)
