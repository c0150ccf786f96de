"""Which Patient there is the patient here: the table, row by row."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name
from service.fhir_client.outcomes import Address, Answered, Cause, NotSent, Outcome, Refused, Unknown
from service.sync.identity.identifiers import SameSystems
from service.sync.identity.match_policy import (
    LONGEST_CHAIN,
    Basis,
    Claim,
    Follow,
    Judgement,
    Matched,
    NotShown,
    PatientThere,
    Redirected,
    Seek,
    Sight,
    Unmatched,
    Unverified,
    is_in_doubt,
    on_kept,
    on_new_evidence,
    on_search,
    on_search_for_the_gone,
    on_successor,
    patient_there,
    sight_of,
)
from service.sync.states import Reason

BASE = "https://ehr.test/fhir"
WARD: Name = ("https://ward.test/numbers", "70-1")
CARD: Name = ("urn:oid:2.16.840.1.9", "A 4")
OTHER: Name = ("https://ward.test/numbers", "70-2")
OURS = (WARD, CARD)


def there(server_id: str = "old", *names: Name, active: bool = True, into: str | None = None) -> PatientThere:
    return PatientThere(server_id, names=names or (WARD,), is_active=active, replaced_by=into)


def kept(basis: Basis = Basis.IDENTIFIER, **changed: Any) -> Claim:
    """Somebody who was matched to Patient/old by their number of the ward."""
    return replace(
        Claim(OURS, server_id="old", earlier=(), basis=basis, shown=(WARD,), is_matched=True), **changed
    )


def unmatched(reason: Reason) -> Unmatched:
    return Unmatched(reason)


NOT_VERIFIED = Unverified(Reason.PATIENT_NOT_VERIFIED)
NOT_READABLE = Unverified(Reason.PATIENT_NOT_READABLE_THERE)
MERGED = unmatched(Reason.PATIENT_MERGED_THERE)
MOVED = unmatched(Reason.IDENTIFIER_MOVED_THERE)
GONE = unmatched(Reason.PATIENT_GONE_THERE)
INACTIVE = unmatched(Reason.PATIENT_INACTIVE_THERE)
SEVERAL = unmatched(Reason.SEVERAL_PATIENTS_THERE)
NOBODY = unmatched(Reason.NO_PATIENT_THERE)
DIFFERS = unmatched(Reason.IDENTIFIER_DIFFERS_THERE)
CHANGED = unmatched(Reason.MATCH_CHANGED_THERE)

LAUNCHED = kept(Basis.LAUNCH, shown=(WARD, OTHER))
NAMED = kept(Basis.PERSON, shown=(OTHER,))


@pytest.mark.parametrize(
    ("claim", "sight", "judgement"),
    [
        pytest.param(kept(), there(), Matched(there()), id="as kept"),
        pytest.param(kept(), there("old", WARD, OTHER), Matched(there("old", WARD, OTHER)), id="shows more"),
        pytest.param(kept(is_matched=False), there(), Matched(there()), id="the last one, as kept again"),
        pytest.param(
            kept(shown=(("HTTPS://Ward.test/numbers/", "70-1"),)),
            there("old", ("https://ward.test/numbers", " 70-1 ")),
            Matched(there("old", ("https://ward.test/numbers", " 70-1 "))),
            id="as kept, in another form",
        ),
        pytest.param(kept(), NotShown.NO_ANSWER, NOT_VERIFIED, id="no answer"),
        pytest.param(kept(), NotShown.UNREADABLE, NOT_READABLE, id="may not be read"),
        pytest.param(kept(), NotShown.GONE, Seek.BY_IDENTIFIER, id="gone"),
        pytest.param(kept(), there(into="new"), Follow("new"), id="replaced"),
        pytest.param(kept(), there(active=False, into="new"), Follow("new"), id="replaced and not in use"),
        pytest.param(kept(), there(into=""), Follow(""), id="replaced by nobody knows whom"),
        pytest.param(kept(), Redirected("new"), Follow("new"), id="redirected"),
        pytest.param(kept(), there(active=False), INACTIVE, id="not in use"),
        pytest.param(kept(), there("old", OTHER), MOVED, id="carries another number"),
        pytest.param(kept(), there("old", CARD), MOVED, id="carries another one of ours only"),
        pytest.param(kept(shown=OURS), there("old", WARD), MOVED, id="one of two is gone"),
        pytest.param(kept(), there("old", (WARD[0], "70-10")), MOVED, id="a number that begins the same"),
        pytest.param(kept(), there("old", (WARD[0].upper(), "70-1")), MOVED, id="another path by its case"),
        pytest.param(LAUNCHED, there("old", OTHER, WARD), Matched(there("old", OTHER, WARD)), id="launch"),
        pytest.param(LAUNCHED, there("old", WARD), MOVED, id="launch, one less"),
        pytest.param(LAUNCHED, there("old", WARD, OTHER, CARD), MOVED, id="launch, one more"),
        pytest.param(NAMED, there("old", OTHER), Matched(there("old", OTHER)), id="a person's word"),
        pytest.param(
            NAMED,
            there("old", OTHER, CARD),
            Matched(there("old", OTHER, CARD)),
            id="a person's word, one more",
        ),
        pytest.param(NAMED, there("old", WARD), MOVED, id="a person's word, the number moved"),
        pytest.param(
            kept(Basis.PERSON, shown=()),
            PatientThere("old"),
            Matched(PatientThere("old")),
            id="a person's word about one without numbers",
        ),
    ],
)
def test_who_was_matched_is_judged_as_they_are_seen_now(
    claim: Claim, sight: Sight, judgement: Judgement | Follow | Seek
) -> None:
    assert on_kept(claim, sight) == judgement


@pytest.mark.parametrize(
    ("sight", "way", "judgement"),
    [
        pytest.param(there("new"), ["old", "new"], Matched(there("new"), ("old",)), id="in use, ours"),
        pytest.param(
            there("new", OTHER, CARD),
            ["old", "mid", "new"],
            Matched(there("new", OTHER, CARD), ("old", "mid")),
            id="end of a chain, another identifier of ours",
        ),
        pytest.param(
            there("new", ("2.16.840.1.9", "A 4 ")),
            ["old", "new"],
            Matched(there("new", ("2.16.840.1.9", "A 4 ")), ("old",)),
            id="ours in another form",
        ),
        pytest.param(there("new", OTHER), ["old", "new"], MERGED, id="carries none of ours"),
        pytest.param(there("new", active=False), ["old", "new"], MERGED, id="not in use"),
        pytest.param(there("mid", into="new"), ["old", "mid"], Follow("new"), id="replaced in turn"),
        pytest.param(there("mid", OTHER, into="new"), ["old", "mid"], Follow("new"), id="replaced, not ours"),
        pytest.param(Redirected("new"), ["old", "mid"], Follow("new"), id="redirected in turn"),
        pytest.param(there("mid", into="old"), ["old", "mid"], MERGED, id="a circle of two"),
        pytest.param(there("mid", into="mid"), ["old", "mid"], MERGED, id="a circle of one"),
        pytest.param(Redirected("mid"), ["old", "mid", "end"], MERGED, id="a circle by redirection"),
        pytest.param(there("mid", into=""), ["old", "mid"], MERGED, id="replaced by nobody knows whom"),
        pytest.param(NotShown.GONE, ["old", "new"], MERGED, id="gone"),
        pytest.param(NotShown.NO_ANSWER, ["old", "new"], NOT_VERIFIED, id="no answer"),
        pytest.param(NotShown.UNREADABLE, ["old", "new"], NOT_READABLE, id="may not be read"),
        pytest.param(
            there("last", into="more"),
            ["old", *(f"id{number}" for number in range(LONGEST_CHAIN)), "last"],
            MERGED,
            id="a chain without an end",
        ),
    ],
)
def test_who_took_another_ones_place_is_judged_at_the_end_of_the_chain(
    sight: Sight, way: list[str], judgement: Judgement | Follow
) -> None:
    assert on_successor(kept(), sight, way) == judgement


NEW = Claim(OURS)
RIGHT = there("right")


@pytest.mark.parametrize(
    ("hits", "successors", "judgement"),
    [
        pytest.param([], [], NOBODY, id="nobody"),
        pytest.param([RIGHT], [], Matched(RIGHT), id="one"),
        pytest.param([RIGHT, there("also")], [], SEVERAL, id="several"),
        pytest.param([RIGHT, there("also", CARD)], [], SEVERAL, id="several, an identifier each"),
        pytest.param([RIGHT, there("also", active=False)], [], Matched(RIGHT), id="one of two in use"),
        pytest.param([there("also", active=False)], [], INACTIVE, id="not in use"),
        pytest.param(
            [there("a", active=False), there("b", active=False)], [], INACTIVE, id="several, none in use"
        ),
        pytest.param(
            [there("old", into="right"), RIGHT],
            [Matched(RIGHT, ("old",))],
            Matched(RIGHT, ("old",)),
            id="the old one and who took their place",
        ),
        pytest.param(
            [there("old", active=False, into="right")],
            [Matched(RIGHT, ("old",))],
            Matched(RIGHT, ("old",)),
            id="the old one alone counts as the new one",
        ),
        pytest.param(
            [there("a", into="right"), there("b", into="right"), RIGHT],
            [Matched(RIGHT, ("a",)), Matched(RIGHT, ("b", "c"))],
            Matched(RIGHT, ("a", "b", "c")),
            id="two old ones and who took their places",
        ),
        pytest.param(
            [there("old", into="far"), RIGHT],
            [Matched(there("far"), ("old",))],
            SEVERAL,
            id="into somebody else",
        ),
        pytest.param([there("old", into="far")], [MERGED], MERGED, id="merged, not ours"),
        pytest.param(
            [there("old", into="far"), RIGHT], [MERGED], Matched(RIGHT), id="merged, not ours; one left"
        ),
        pytest.param(
            [there("old", into="far"), there("also", active=False)],
            [MERGED],
            INACTIVE,
            id="merged, or not in use",
        ),
        pytest.param([there("x", OTHER)], [], DIFFERS, id="another value"),
        pytest.param([there("x", ("https://ward.test/old", "70-1"))], [], DIFFERS, id="another system"),
        pytest.param([there("x", ("https://ward.test/numbers", "70-1A"))], [], DIFFERS, id="a longer value"),
        pytest.param([there("x", OTHER), RIGHT], [], Matched(RIGHT), id="one, and somebody who is not meant"),
        pytest.param([there("x", OTHER, active=False)], [], DIFFERS, id="another value, not in use"),
    ],
)
def test_whom_a_search_found_is_judged_by_what_they_carry(
    hits: list[PatientThere], successors: list[Matched | Unmatched], judgement: Matched | Unmatched
) -> None:
    assert on_search(NEW, hits, successors) == judgement


SAME: SameSystems = (frozenset({"https://ward.test/numbers", "1.2.3"}),)


@pytest.mark.parametrize(
    ("ours", "shown", "same", "is_matched"),
    [
        pytest.param(WARD, ("HTTPS://ward.test/numbers", "70-1"), (), True, id="case of the scheme"),
        pytest.param(WARD, ("https://WARD.test/numbers", "70-1"), (), True, id="case of the host"),
        pytest.param(WARD, ("https://ward.test/Numbers", "70-1"), (), False, id="case of the path"),
        pytest.param(WARD, ("https://ward.test/numbers/", "70-1"), (), True, id="last slash there"),
        pytest.param((f"{WARD[0]}/", "70-1"), WARD, (), True, id="last slash here"),
        pytest.param(WARD, ("http://ward.test/numbers", "70-1"), (), False, id="another scheme"),
        pytest.param(CARD, ("2.16.840.1.9", "A 4"), (), True, id="without urn:oid:"),
        pytest.param(("2.16.840.1.9", "A 4"), CARD, (), True, id="with urn:oid:"),
        pytest.param(CARD, ("URN:OID:2.16.840.1.9", "A 4"), (), True, id="case of urn:oid:"),
        pytest.param(CARD, ("urn:oid:2.16.840.1.90", "A 4"), (), False, id="another oid"),
        pytest.param(CARD, ("urn:oid:2.16.840.1.9", "\tA 4 "), (), True, id="blanks around the value"),
        pytest.param(CARD, ("urn:oid:2.16.840.1.9", "A4"), (), False, id="blanks within the value"),
        pytest.param(CARD, ("urn:oid:2.16.840.1.9", "a 4"), (), False, id="case of the value"),
        pytest.param(CARD, ("", "A 4"), (), False, id="no system"),
        pytest.param(WARD, ("urn:oid:1.2.3", "70-1"), (), False, id="two systems, not said to be one"),
        pytest.param(WARD, ("urn:oid:1.2.3", "70-1"), SAME, True, id="two systems that are one"),
        pytest.param(WARD, ("urn:oid:1.2.3", "70-2"), SAME, False, id="two that are one, another value"),
    ],
)
def test_an_identifier_in_another_form_is_the_same_where_only_its_spelling_differs(
    ours: Name, shown: Name, same: SameSystems, is_matched: bool
) -> None:
    found = there("right", shown)
    expected: Matched | Unmatched = Matched(found) if is_matched else DIFFERS
    assert on_search(Claim((ours,)), [found], [], same) == expected
    before = Claim(
        (ours,), server_id="right", earlier=(), basis=Basis.IDENTIFIER, shown=(ours,), is_matched=True
    )
    assert on_kept(before, found, same) == (Matched(found) if is_matched else MOVED)
    successor = on_successor(before, replace(found, server_id="next"), ["right", "next"], same)
    assert isinstance(successor, Matched) == is_matched


BOTH = kept(shown=OURS)


@pytest.mark.parametrize(
    ("claim", "found", "copies_are_about", "judgement"),
    [
        pytest.param(
            BOTH, Matched(there("new", *OURS)), True, Matched(there("new", *OURS)), id="all that was shown"
        ),
        pytest.param(BOTH, Matched(there("new", *OURS)), False, GONE, id="copies about another, or hidden"),
        pytest.param(BOTH, Matched(there("new", WARD)), True, GONE, id="one identifier is missing"),
        pytest.param(BOTH, Matched(there("old", *OURS)), True, GONE, id="who is gone, found all the same"),
        pytest.param(BOTH, NOBODY, True, GONE, id="nobody"),
        pytest.param(BOTH, SEVERAL, True, GONE, id="several"),
        pytest.param(BOTH, INACTIVE, True, GONE, id="not in use"),
        pytest.param(
            LAUNCHED, Matched(there("new", WARD, OTHER, CARD)), True, GONE, id="launch, another set"
        ),
        pytest.param(
            LAUNCHED,
            Matched(there("new", WARD, OTHER)),
            True,
            Matched(there("new", WARD, OTHER)),
            id="launch, the same set",
        ),
    ],
)
def test_somebody_stands_in_for_one_who_is_gone_only_with_all_that_was_theirs(
    claim: Claim, found: Matched | Unmatched, copies_are_about: bool, judgement: Matched | Unmatched
) -> None:
    assert on_search_for_the_gone(claim, found, copies_are_about) == judgement


STALE = kept(is_stale=True)
STALE_NAMED = kept(Basis.PERSON, shown=(OTHER,), is_stale=True)
STALE_LAUNCHED = kept(Basis.LAUNCH, is_stale=True)
AS_KEPT = Matched(there())
SUCCESSOR = Matched(there("new"), ("old",))


@pytest.mark.parametrize(
    ("claim", "found", "kept_now", "judgement"),
    [
        pytest.param(
            STALE, Matched(there("old", CARD)), MOVED, Matched(there("old", CARD)), id="the same one"
        ),
        pytest.param(STALE, Matched(RIGHT), AS_KEPT, CHANGED, id="another one"),
        pytest.param(STALE, Matched(RIGHT), MOVED, CHANGED, id="another one, who has the number now"),
        pytest.param(STALE, Matched(RIGHT), Seek.BY_IDENTIFIER, CHANGED, id="another one, the last is gone"),
        pytest.param(STALE, Matched(there("new")), SUCCESSOR, SUCCESSOR, id="who took the last one's place"),
        pytest.param(STALE, Matched(RIGHT), SUCCESSOR, CHANGED, id="another one than the successor"),
        pytest.param(STALE, NOBODY, AS_KEPT, NOBODY, id="nobody"),
        pytest.param(STALE, SEVERAL, AS_KEPT, SEVERAL, id="several"),
        pytest.param(STALE, Matched(RIGHT), NOT_VERIFIED, NOT_VERIFIED, id="the last one does not answer"),
        pytest.param(STALE, Matched(RIGHT), NOT_READABLE, NOT_READABLE, id="the last one may not be read"),
        pytest.param(STALE_NAMED, NOBODY, AS_KEPT, AS_KEPT, id="a person's word, nobody else"),
        pytest.param(STALE_NAMED, DIFFERS, AS_KEPT, AS_KEPT, id="a person's word, nobody meant"),
        pytest.param(STALE_NAMED, NOBODY, MOVED, NOBODY, id="a person's word that does not hold any more"),
        pytest.param(STALE_NAMED, Matched(RIGHT), AS_KEPT, CHANGED, id="a person's word, another one"),
        pytest.param(STALE_NAMED, SEVERAL, AS_KEPT, SEVERAL, id="a person's word, others too"),
        pytest.param(STALE_NAMED, MERGED, AS_KEPT, MERGED, id="a person's word, somebody merged away"),
        pytest.param(STALE_LAUNCHED, NOBODY, AS_KEPT, AS_KEPT, id="launch, nobody else"),
        pytest.param(STALE_LAUNCHED, Matched(RIGHT), AS_KEPT, CHANGED, id="launch, another one"),
    ],
)
def test_other_identifiers_here_never_lead_to_another_patient_by_themselves(
    claim: Claim, found: Matched | Unmatched, kept_now: Judgement | Seek, judgement: Judgement
) -> None:
    assert on_new_evidence(claim, found, kept_now) == judgement


def body(server_id: str = "old", **members: Any) -> Tree:
    return {"resourceType": "Patient", "id": server_id, **members}


@pytest.mark.parametrize(
    ("outcome", "sight"),
    [
        pytest.param(Answered(200, body=body()), PatientThere("old"), id="shown"),
        pytest.param(Answered(200, body=body("new")), Redirected("new"), id="another Patient in silence"),
        pytest.param(Answered(200), NotShown.NO_ANSWER, id="an empty answer"),
        pytest.param(Answered(200, body={"resourceType": "Patient"}), NotShown.NO_ANSWER, id="without an id"),
        pytest.param(Answered(200, body=body("../Goal/1")), NotShown.NO_ANSWER, id="with an id that is none"),
        pytest.param(
            Answered(200, body={"resourceType": "OperationOutcome", "id": "x"}),
            NotShown.NO_ANSWER,
            id="an outcome",
        ),
        pytest.param(
            Answered(200, body={"resourceType": "Person", "id": "old"}), NotShown.NO_ANSWER, id="another type"
        ),
        *(
            pytest.param(
                Refused(status, address=Address("Patient", "new")), Redirected("new"), id=f"{status}"
            )
            for status in (301, 302, 307, 308)
        ),
        pytest.param(Refused(301), NotShown.NO_ANSWER, id="redirected nowhere"),
        pytest.param(
            Refused(301, address=Address("Person", "new")), NotShown.NO_ANSWER, id="redirected to no Patient"
        ),
        pytest.param(Refused(403), NotShown.UNREADABLE, id="forbidden"),
        pytest.param(Refused(410), NotShown.GONE, id="410"),
        *(
            pytest.param(Refused(status), NotShown.NO_ANSWER, id=str(status))
            for status in (400, 408, 429, 500, 502, 503, 504)
        ),
        pytest.param(Unknown(Cause.TIMEOUT, ""), NotShown.NO_ANSWER, id="slow"),
        pytest.param(NotSent(Cause.UNREACHABLE, ""), NotShown.NO_ANSWER, id="unreachable"),
    ],
)
def test_what_asking_for_a_patient_brings_is_read_as_it_is_meant(outcome: Outcome, sight: Sight) -> None:
    assert sight_of("old", outcome, BASE) == sight


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"active": True}, PatientThere("old"), id="in use"),
        pytest.param({"active": False}, PatientThere("old", names=(), is_active=False), id="not in use"),
        pytest.param(
            {"identifier": [{"system": "s", "value": "v"}, {"value": "w"}, {"system": "x"}, None]},
            PatientThere("old", names=(("s", "v"), ("", "w"))),
            id="identifiers",
        ),
        pytest.param({"identifier": "v"}, PatientThere("old"), id="identifiers of no form"),
    ],
)
def test_a_patient_is_read_as_the_server_shows_them(members: Tree, expected: PatientThere) -> None:
    assert patient_there(body(**members), BASE) == expected


def link(kind: str, **other: Any) -> Tree:
    return {"link": [{"type": kind, "other": other}]}


@pytest.mark.parametrize(
    ("members", "successor"),
    [
        pytest.param(link("replaced-by", reference="Patient/new"), "new", id="relative"),
        pytest.param(link("replaced-by", reference=f"{BASE}/Patient/new"), "new", id="absolute"),
        pytest.param(link("replaced-by", reference="Patient/new/_history/3"), "new", id="a version of them"),
        pytest.param(link("replaced-by", reference="https://far.test/fhir/Patient/new"), "", id="elsewhere"),
        pytest.param(link("replaced-by", reference="RelatedPerson/new"), "", id="a related person"),
        pytest.param(link("replaced-by", reference="#new"), "", id="contained"),
        pytest.param(link("replaced-by", identifier={"value": "7"}), "", id="by identifier"),
        pytest.param(link("replaced-by", reference=7), "", id="a number"),
        pytest.param({"link": [{"type": "replaced-by"}]}, "", id="nobody named"),
        pytest.param(link("replaces", reference="Patient/new"), None, id="the one who stays"),
        pytest.param(link("refer", reference="Patient/new"), None, id="refer"),
        pytest.param(link("seealso", reference="Patient/new"), None, id="seealso"),
        pytest.param({"link": {"type": "replaced-by"}}, None, id="links of no form"),
        pytest.param(
            {"link": ["replaced-by", *link("replaced-by", reference="Patient/new")["link"]]},
            "new",
            id="one of several",
        ),
    ],
)
def test_a_successor_is_told_by_the_link_and_by_nothing_else(members: Tree, successor: str | None) -> None:
    assert patient_there(body(**members), BASE).replaced_by == successor


ASKED: list[Callable[[Claim, Sight], object]] = [
    on_kept,
    lambda claim, sight: on_successor(claim, sight, ["old", "new"]),
]


@pytest.mark.parametrize("judge", ASKED, ids=["kept", "successor"])
@pytest.mark.parametrize("sight", [NotShown.NO_ANSWER, NotShown.UNREADABLE])
def test_what_could_not_be_looked_at_is_never_judged(
    judge: Callable[[Claim, Sight], object], sight: Sight
) -> None:
    assert isinstance(judge(kept(), sight), Unverified)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param(kept(), False, id="as it was"),
        pytest.param(kept(is_stale=True), True, id="identifiers changed"),
        pytest.param(kept(names=(CARD,)), True, id="rests on what was taken away"),
        pytest.param(kept(shown=OURS, names=(CARD,)), True, id="rests on two, one was taken away"),
        pytest.param(kept(shown=(("2.16.840.1.9", "A 4"),)), False, id="shown in another form"),
        pytest.param(NAMED, False, id="a person's word"),
        pytest.param(LAUNCHED, False, id="launch"),
        pytest.param(Claim(OURS), False, id="never matched"),
    ],
)
def test_a_match_is_in_doubt_when_it_rests_on_what_the_patient_is_not_called_any_more(
    claim: Claim, expected: bool
) -> None:
    assert is_in_doubt(claim) == expected
