"""Why a record is not in step, and what a person can do about it: one table."""

from enum import StrEnum


class State(StrEnum):
    """Where one record stands with one connection."""

    PENDING = "pending"
    SYNCED = "synced"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    MOVED = "moved"
    HELD = "held"
    REJECTED = "rejected"
    UNMATCHED = "unmatched"


class Reason(StrEnum):
    """Why; codes are never given another meaning."""

    NO_PATIENT_THERE = "no-patient-there"
    SEVERAL_PATIENTS_THERE = "several-patients-there"
    NO_PATIENT_HERE = "no-patient-here"
    IDENTIFIER_DIFFERS_THERE = "identifier-differs-there"
    IDENTIFIER_MOVED_THERE = "identifier-moved-there"
    MATCH_CHANGED_THERE = "match-changed-there"
    PATIENT_INACTIVE_THERE = "patient-inactive-there"
    PATIENT_MERGED_THERE = "patient-merged-there"
    PATIENT_GONE_THERE = "patient-gone-there"
    TWO_HERE_ONE_THERE = "two-here-one-there"
    PATIENT_NOT_VERIFIED = "patient-not-verified"
    PATIENT_NOT_READABLE_THERE = "patient-not-readable-there"
    OTHER_PATIENT_THERE = "other-patient-there"
    LET_GO = "let-go"
    NOT_FOUND_THERE = "not-found-there"
    SEVERAL_FOUND_THERE = "several-found-there"
    NOT_THIS_PATIENTS_THERE = "not-this-patients-there"
    WAITING_FOR_REFERENCE = "waiting-for-reference"
    UNREACHABLE = "unreachable"
    NO_TOKEN = "no-token"  # noqa: S105 - a code, not a secret
    NO_ANSWER = "no-answer"
    NOT_FHIR = "not-fhir"
    BUSY = "busy"
    SERVER_ERROR = "server-error"
    LOOKUP_REFUSED = "lookup-refused"
    PAGES_BROKEN = "pages-broken"
    CLOCK_SKEW = "clock-skew"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    TOO_LARGE = "too-large"
    NOT_SUPPORTED = "not-supported"
    NOT_VALID = "not-valid"
    CHANGED_ON_BOTH_SIDES = "changed-on-both-sides"
    NOT_VALID_THERE = "not-valid-there"
    GONE_THERE = "gone-there"
    SEVERAL_COPIES_THERE = "several-copies-there"
    IDENTIFIER_TAKEN = "identifier-taken"
    NO_IDENTIFIER = "no-identifier"
    EDIT_NOT_SAFE = "edit-not-safe"
    FAILED_HERE = "failed-here"


NEXT_STEPS: dict[Reason, str] = {
    Reason.NO_PATIENT_THERE: "Register the person on the server, or correct the identifiers here; it is "
    "looked for again by itself.",
    Reason.SEVERAL_PATIENTS_THERE: "Have the duplicate patients merged on the server, or correct or remove "
    "the identifier here that is another's (`mainstay patient identifier`), or name the right one "
    "(`mainstay patient match`).",
    Reason.NO_PATIENT_HERE: "Register the person this record is about, then retry.",
    Reason.IDENTIFIER_DIFFERS_THERE: "The server found somebody, but shows the identifier in another form: "
    "correct it here, or say that the two systems are one (MAINSTAY_SAME_IDENTIFIER_SYSTEMS).",
    Reason.IDENTIFIER_MOVED_THERE: "The Patient there does not carry the identifier any more by which they "
    "were matched: ask there who has it, and name the right one (`mainstay patient match`).",
    Reason.MATCH_CHANGED_THERE: "By the identifiers as they are here now, it is another Patient there than "
    "before: see who is right, and name them (`mainstay patient match`), or correct the identifiers.",
    Reason.PATIENT_INACTIVE_THERE: "The Patient is not in use there: have them put in use again, or name "
    "another one (`mainstay patient match`).",
    Reason.PATIENT_MERGED_THERE: "The Patient was merged there into another one, who does not carry an "
    "identifier of ours: correct the identifiers, or name the one who is left (`mainstay patient match`).",
    Reason.PATIENT_GONE_THERE: "The Patient is no more there: ask there what became of them, and name the "
    "right one (`mainstay patient match`).",
    Reason.TWO_HERE_ONE_THERE: "Two patients here are one there: merge them here (`mainstay patient "
    "merge`), or have them parted there; nothing is sent for either.",
    Reason.PATIENT_NOT_VERIFIED: "Nothing to do: the server did not show the Patient just now; it is asked "
    "again by itself before anything is written to them.",
    Reason.PATIENT_NOT_READABLE_THERE: "Ask the server's operators to let the Patient be read; nothing is "
    "written to somebody who cannot be verified.",
    Reason.OTHER_PATIENT_THERE: "The copy there is another patient's by now; both versions are kept. "
    "Decide: `mainstay sync moved`.",
    Reason.LET_GO: "A person let go of the copy there; nothing more is sent there for this record.",
    Reason.NOT_FOUND_THERE: "Register the practitioner, related person or condition that the record names "
    "on the server, or correct the identifier here; it is looked for again by itself.",
    Reason.SEVERAL_FOUND_THERE: "Have the duplicates of the person or condition that the record names "
    "merged on the server; it is looked for again by itself.",
    Reason.NOT_THIS_PATIENTS_THERE: "What the record names is there, but is another patient's: correct the "
    "identifier here, or have it mended there.",
    Reason.WAITING_FOR_REFERENCE: "A record that this one refers to is not there yet; see to that one first.",
    Reason.UNREACHABLE: "Check the connection's address and the network; it is tried again by itself.",
    Reason.NO_TOKEN: "Check that the connection's token file exists, can be read and holds one token.",
    Reason.NO_ANSWER: "Nothing to do: the server is asked what became of it before anything is sent again.",
    Reason.NOT_FHIR: "Check the connection's address: something that is no FHIR server answers there.",
    Reason.BUSY: "Nothing to do: the server asked to wait, and it is tried again after that.",
    Reason.SERVER_ERROR: "Ask the server's operators if it lasts; it is tried again by itself, then set "
    "aside.",
    Reason.LOOKUP_REFUSED: "The server does not answer the search that comes before this; have its operators "
    "allow it, as the outcome says. It is asked again by itself.",
    Reason.PAGES_BROKEN: "The server's search results cannot be read to their end: have the links between "
    "its pages mended, or raise MAINSTAY_LISTING_TIMEOUT_SECONDS. It is tried again by itself.",
    Reason.CLOCK_SKEW: "The server's clock and ours are far apart; have both set (NTP). `mainstay doctor` "
    "shows them.",
    Reason.UNAUTHORIZED: "Renew the connection's token, then retry.",
    Reason.FORBIDDEN: "Ask the server's operators to allow this kind of write, then retry; what is pending "
    "is sent by itself.",
    Reason.REFUSED: "Mend what the server's outcome names, and save; that sends the record again.",
    Reason.TOO_LARGE: "The record is larger than the server takes; shorten it, and save.",
    Reason.NOT_SUPPORTED: "The server does not accept this kind of record; nothing can be sent there.",
    Reason.NOT_VALID: "Mend the fields named in the outcome, and save; that sends the record again.",
    Reason.CHANGED_ON_BOTH_SIDES: "Look at both versions, and resolve the conflict.",
    Reason.NOT_VALID_THERE: "The copy on the server is not valid R4; have it mended there, then retry.",
    Reason.GONE_THERE: "It was deleted on the server; restore it there and retry, or withdraw it here.",
    Reason.SEVERAL_COPIES_THERE: "Several resources on the server have this identifier; have all but one "
    "removed, then retry.",
    Reason.IDENTIFIER_TAKEN: "Another record or person has this identifier on the server; correct the "
    "identifier, and save.",
    Reason.NO_IDENTIFIER: "Give the record an identifier, and save: without one it could be created twice.",
    Reason.EDIT_NOT_SAFE: "The copy on the server carries a modifier that is unknown here; edit it there.",
    Reason.FAILED_HERE: "Report this with the time it happened; then retry.",
}


#: How it is said of somebody or something that was looked for there, for each reason that it was in vain.
MISSING: dict[str, str] = {
    Reason.NO_PATIENT_THERE: "missing there",
    Reason.NOT_FOUND_THERE: "missing there",
    Reason.SEVERAL_PATIENTS_THERE: "there more than once",
    Reason.SEVERAL_FOUND_THERE: "there more than once",
    Reason.NOT_THIS_PATIENTS_THERE: "there, but another patient's",
    Reason.IDENTIFIER_DIFFERS_THERE: "there under another form of the identifier",
    Reason.IDENTIFIER_MOVED_THERE: "there without the identifier by now",
    Reason.MATCH_CHANGED_THERE: "somebody else there by now",
    Reason.PATIENT_INACTIVE_THERE: "not in use there",
    Reason.PATIENT_MERGED_THERE: "merged into somebody else there",
    Reason.PATIENT_GONE_THERE: "gone there",
    Reason.TWO_HERE_ONE_THERE: "one with another patient there",
}

#: Types of those who are somebody.
PERSONS = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})
