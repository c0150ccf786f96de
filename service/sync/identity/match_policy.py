"""Which Patient there is the patient here: one row per thing that can be seen of them. Pure.

A match is a claim with an expiry. It is kept as long as the server shows the Patient as it did when
the match was made; another Patient takes their place only where the server says that the two are
one, or a person here does. Where no row says otherwise, nothing is written and a person is asked.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import FHIR_ID, Name, names_of
from service.fhir_client.outcomes import Answered, Outcome, Refused
from service.sync import policy
from service.sync.identity.identifiers import SameSystems, canonical, carried
from service.sync.identity.references import relative
from service.sync.policy import Method, Step
from service.sync.states import Reason

#: Nobody is merged more often than this; a server that leads on and on leads nowhere.
LONGEST_CHAIN = 10

_ID = re.compile(FHIR_ID)


class Basis(StrEnum):
    """What a match rests on."""

    IDENTIFIER = "identifier"
    LAUNCH = "launch"
    PERSON = "person"


@dataclass(frozen=True)
class PatientThere:
    """A Patient as the server shows it. replaced_by: its successor's id; empty where that cannot be told."""

    server_id: str
    _: KW_ONLY
    names: tuple[Name, ...] = ()
    is_active: bool = True
    replaced_by: str | None = None


class NotShown(StrEnum):
    """Why a Patient that was asked for is not shown."""

    GONE = "gone"
    NO_ANSWER = "no-answer"
    UNREADABLE = "unreadable"
    #: It was looked for by identifier, and the search was refused.
    NOT_SEARCHED = "not-searched"


@dataclass(frozen=True)
class Redirected:
    """The server sends who asks for one Patient to another one."""

    server_id: str


Sight = PatientThere | Redirected | NotShown


@dataclass(frozen=True)
class Claim:
    """What is known here: the patient's identifiers, and the Patient who was matched last.

    earlier: ids that were merged into it there. shown: the identifiers that the match rests on,
    as the server showed them. is_matched: whether it held when last looked at. is_stale: the
    identifiers here have changed since.
    """

    names: tuple[Name, ...]
    _: KW_ONLY
    server_id: str | None = None
    earlier: tuple[str, ...] = ()
    basis: Basis | None = None
    shown: tuple[Name, ...] = ()
    is_matched: bool = False
    is_stale: bool = False


@dataclass(frozen=True)
class Matched:
    """This Patient it is. merged: ids of those who were merged into them, as far as they were passed."""

    patient: PatientThere
    merged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unmatched:
    """Nobody, until a person or the server has changed something."""

    reason: Reason


@dataclass(frozen=True)
class Unverified:
    """It could not be looked at; what was known stays, and what is due to the patient waits."""

    reason: Reason


@dataclass(frozen=True)
class Follow:
    """Look at this Patient, of whom the server says that they took the other's place."""

    server_id: str


class Seek(StrEnum):
    """Look for the patient by identifier."""

    BY_IDENTIFIER = "by-identifier"


Judgement = Matched | Unmatched | Unverified

#: What a search comes to that found nobody of whom it could be said that they are the patient.
_FOUND_NOBODY = frozenset({Reason.NO_PATIENT_THERE, Reason.IDENTIFIER_DIFFERS_THERE})


def sight_of(server_id: str, outcome: Outcome, base_url: str) -> Sight:
    """Read what asking for one Patient brought."""
    if isinstance(outcome, Answered):
        if outcome.body is None or not _is_patient(outcome.body):
            return NotShown.NO_ANSWER
        there = patient_there(outcome.body, base_url)
        return there if there.server_id == server_id else Redirected(there.server_id)
    if isinstance(outcome, Refused):
        address = outcome.address
        if 300 <= outcome.status < 400 and address is not None and address.resource_type == "Patient":
            return Redirected(address.server_id)
        if outcome.status == 403:
            return NotShown.UNREADABLE
    gone = policy.next_step(Method.READ, outcome).step is Step.GONE
    return NotShown.GONE if gone else NotShown.NO_ANSWER


def _is_patient(body: Tree) -> bool:
    server_id: Any = body.get("id")
    return body.get("resourceType") == "Patient" and bool(
        isinstance(server_id, str) and _ID.fullmatch(server_id)
    )


def patient_there(body: Tree, base_url: str) -> PatientThere:
    """Read a Patient resource."""
    return PatientThere(
        body["id"],
        names=tuple(names_of(body)),
        is_active=body.get("active") is not False,
        replaced_by=_replaced_by(body, base_url),
    )


def _replaced_by(body: Tree, base_url: str) -> str | None:
    links: Any = body.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("type") == "replaced-by":
            other = link.get("other")
            reference = other.get("reference") if isinstance(other, dict) else None
            kind, _, server_id = relative(
                reference if isinstance(reference, str) else "", base_url
            ).partition("/")
            return server_id if kind == "Patient" and "/" not in server_id else ""
    return None


def is_in_doubt(claim: Claim, same_systems: SameSystems = ()) -> bool:
    """Tell whether a match has to be made anew: it rests on what the patient is not called here any more."""
    rests_on_names = claim.server_id is not None and claim.basis is Basis.IDENTIFIER
    ours = carried(claim.shown, claim.names, same_systems)
    return claim.is_stale or (rests_on_names and len(ours) < len(claim.shown))


def on_kept(claim: Claim, sight: Sight, same_systems: SameSystems = ()) -> Judgement | Follow | Seek:
    """Judge the Patient who was matched last, as they are seen now."""
    if isinstance(sight, Redirected):
        return Follow(sight.server_id)
    if sight is NotShown.GONE:
        return Seek.BY_IDENTIFIER
    if not isinstance(sight, PatientThere):
        return unverified(sight)
    if sight.replaced_by is not None:
        return Follow(sight.replaced_by)
    if not sight.is_active:
        return Unmatched(Reason.PATIENT_INACTIVE_THERE)
    if not _shows_what_it_did(claim, sight, same_systems):
        return Unmatched(Reason.IDENTIFIER_MOVED_THERE)
    return Matched(sight)


def _shows_what_it_did(claim: Claim, sight: PatientThere, same_systems: SameSystems) -> bool:
    now = {canonical(name, same_systems) for name in sight.names}
    before = {canonical(name, same_systems) for name in claim.shown}
    return now == before if claim.basis is Basis.LAUNCH else before <= now


def on_successor(
    claim: Claim, sight: Sight, way: Sequence[str], same_systems: SameSystems = ()
) -> Judgement | Follow:
    """Judge the Patient into whom another was merged. way: the ids that led here, theirs the last."""
    following = sight.server_id if isinstance(sight, Redirected) else None
    if isinstance(sight, PatientThere):
        following = sight.replaced_by
        if following is None and sight.is_active and carried(sight.names, claim.names, same_systems):
            return Matched(sight, tuple(way[:-1]))
    elif isinstance(sight, NotShown) and sight is not NotShown.GONE:
        return unverified(sight)
    if not following or following in way or len(way) > LONGEST_CHAIN:
        return Unmatched(Reason.PATIENT_MERGED_THERE)
    return Follow(following)


def on_search(
    claim: Claim,
    hits: Iterable[PatientThere],
    successors: Iterable[Matched | Unmatched],
    same_systems: SameSystems = (),
) -> Matched | Unmatched:
    """Judge what a search by the patient's identifiers found.

    successors: what became of each hit that was merged into another Patient.
    """
    successors = list(successors)
    living = [hit for hit in hits if hit.replaced_by is None]
    shown = [hit for hit in living if carried(hit.names, claim.names, same_systems)]
    left = {hit.server_id: hit for hit in shown if hit.is_active}
    left |= {one.patient.server_id: one.patient for one in successors if isinstance(one, Matched)}
    if len(left) == 1:
        merged = [server_id for one in successors if isinstance(one, Matched) for server_id in one.merged]
        return Matched(next(iter(left.values())), tuple(dict.fromkeys(merged)))
    if left:
        return Unmatched(Reason.SEVERAL_PATIENTS_THERE)
    if shown:
        return Unmatched(Reason.PATIENT_INACTIVE_THERE)
    if successors:
        return Unmatched(Reason.PATIENT_MERGED_THERE)
    return Unmatched(Reason.IDENTIFIER_DIFFERS_THERE if living else Reason.NO_PATIENT_THERE)


def on_search_for_the_gone(
    claim: Claim, found: Matched | Unmatched, copies_are_about: bool, same_systems: SameSystems = ()
) -> Matched | Unmatched:
    """Judge whom a search found in the place of a Patient who is no more.

    copies_are_about: whether all copies of the patient's records can be read there, and are about them.
    """
    if (
        isinstance(found, Matched)
        and found.patient.server_id != claim.server_id
        and copies_are_about
        and _shows_what_it_did(claim, found.patient, same_systems)
    ):
        return found
    return Unmatched(Reason.PATIENT_GONE_THERE)


def on_new_evidence(claim: Claim, found: Matched | Unmatched, kept: Judgement | Seek) -> Judgement:
    """Judge whom a search found after the identifiers here have changed.

    kept: what is to be said of the last match, as they and their successors are seen now.
    """
    if isinstance(kept, Unverified):
        return kept
    if isinstance(found, Unmatched):
        # What a person or a launch said never rested on the identifiers here; but they may contradict it.
        rests_elsewhere = claim.basis in (Basis.PERSON, Basis.LAUNCH) and found.reason in _FOUND_NOBODY
        return kept if rests_elsewhere and isinstance(kept, Matched) else found
    if found.patient.server_id == claim.server_id:
        return found
    if isinstance(kept, Matched) and kept.patient.server_id == found.patient.server_id:
        return kept
    return Unmatched(Reason.MATCH_CHANGED_THERE)


def unverified(sight: NotShown) -> Unverified:
    """Say that it could not be looked at, and for whom that is to do something."""
    if sight is NotShown.UNREADABLE:
        return Unverified(Reason.PATIENT_NOT_READABLE_THERE)
    if sight is NotShown.NOT_SEARCHED:
        return Unverified(Reason.LOOKUP_REFUSED)
    return Unverified(Reason.PATIENT_NOT_VERIFIED)
