"""What records name by identifier, found there: practitioners, conditions …; a claim with an expiry, too."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Cause, Failure, Found, Outcome, Unknown
from service.store.database import Database
from service.store.statements import upsert
from service.store.tables import ReferenceLink
from service.sync import policy
from service.sync.identity.identifiers import carried, chunked, spellings, token
from service.sync.identity.match_rows import NEVER
from service.sync.identity.matching import Match, MatchRules
from service.sync.identity.reference_targets import OWNER_ELEMENT
from service.sync.identity.references import Logical, Wanted
from service.sync.identity.subject_policy import About
from service.sync.identity.subjects import Copy, Subjects
from service.sync.policy import Method, Next
from service.sync.states import Reason

#: What is to be found there by identifier before a record that names it so is sent. What else is
#: looked for (reference_targets.py) and not found, or found to be somebody else's, travels by name.
FOUND_BY_IDENTIFIER = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Condition"})


@dataclass(frozen=True, kw_only=True)
class ReferenceMatcher:
    """Finds on one connection what is named by identifier."""

    database: Database
    connection_id: str
    client: FHIRClient
    subjects: Subjects
    rules: MatchRules
    clock: Callable[[], datetime]
    next_step: Callable[[Method, Outcome], Next] = policy.next_step

    def references(
        self, names: Collection[Wanted], patients: Mapping[str, str]
    ) -> dict[Wanted, Match] | Failure:
        """Return the match of each, asked for again where it is older than is believed.

        patients: our id -> the id there, of those whose records name something.
        """
        now = self.clock()
        with self.database.read() as session:
            known = _believed(session, self.connection_id, names, now - self.rules.references_for, now)
        missing = sorted(one for one in names if one not in known)
        matches: dict[Wanted, Match] = {}
        waiting: dict[Wanted, Match] = {}
        for resource_type in sorted({name[0] for _, name in missing}):
            mine = [one for one in missing if one[1][0] == resource_type]
            found = self._found(resource_type, sorted({name for _, name in mine}))
            if not isinstance(found, dict):
                return found
            hits = {name: some for name, some in found.items() if isinstance(some, list)}
            owners = self._owners(resource_type, [hit for some in hits.values() for hit in some], patients)
            for one in mine:
                if one[1] in hits:
                    matches[one] = _only(one, hits[one[1]], owners)
                else:
                    waiting[one] = self._unasked(one[1], found[one[1]])
        self._keep(matches, now)
        return known | matches | waiting

    def expire(self, names: Iterable[Wanted]) -> None:
        """Have what is named asked for again."""
        link = ReferenceLink
        with self.database.begin() as session:
            # In the order of the key, as they are kept.
            for patient_id, (resource_type, system, value) in sorted(names):
                session.execute(
                    update(link)
                    .where(
                        link.connection_id == self.connection_id,
                        link.patient_id == patient_id,
                        link.resource_type == resource_type,
                        link.system == system,
                        link.value == value,
                    )
                    .values(state="unmatched", checked_at=NEVER)
                )

    def _found(
        self, resource_type: str, names: list[Logical]
    ) -> dict[Logical, list[Tree] | Failure] | Failure:
        """Search for identifiers; return all that carry each, or why that cannot be told."""
        found: dict[Logical, list[Tree] | Failure] = {}
        for chunk in chunked(names):
            result = self._search(resource_type, chunk)
            if isinstance(result, Found):
                found |= {name: self._carriers(result.resources, name) for name in chunk}
            elif self.next_step(Method.SEARCH, result).pause:
                return result
            elif len(chunk) == 1:
                found[chunk[0]] = result
            else:
                # It may be one of them with which the server has a problem; the others are not to wait.
                for name in chunk:
                    alone = self._found(resource_type, [name])
                    if not isinstance(alone, dict):
                        return alone
                    found |= alone
        return found

    def _search(self, resource_type: str, names: Iterable[Logical]) -> Found | Failure:
        asked = {
            spelling
            for _, system, value in names
            for spelling in spellings((system, value), self.rules.same_systems)
        }
        tokens = [token(*name) for name in sorted(asked)]
        result = self.client.search_any(resource_type, "identifier", tokens)
        if isinstance(result, Found) and result.unreadable:
            # It may be what is looked for; what is not seen cannot be said to be absent, or the only one.
            return Unknown(Cause.UNREADABLE, "a search shows what cannot be read")
        return result

    def _carriers(self, resources: Iterable[Tree], name: Logical) -> list[Tree]:
        resource_type, system, value = name
        # A search can show more than it was asked for, as what was included.
        return [
            one
            for one in resources
            if one["resourceType"] == resource_type
            and carried(names_of(one), [(system, value)], self.rules.same_systems)
        ]

    def _owners(
        self, resource_type: str, hits: Iterable[Tree], patients: Mapping[str, str]
    ) -> dict[str, str] | None:
        """Return whose each hit is here, however it says so; None for a type that is nobody's."""
        element = OWNER_ELEMENT.get(resource_type)
        if element is None:
            return None
        copies = {hit["id"]: Copy({**hit, "subject": hit.get(element)}) for hit in hits}
        judgements = self.subjects.judge(copies, list(patients.values()))
        return {key: one.patient_id for key, one in judgements.items() if isinstance(one, About)}

    def _unasked(self, name: Logical, failure: Any) -> Match:
        reason = self.next_step(Method.SEARCH, failure).reason or Reason.REFUSED
        return Match(reason=reason, waits=True, sought=(name,))

    def _keep(self, matches: Mapping[Wanted, Match], now: datetime) -> None:
        if not matches:
            return
        key = ["connection_id", "patient_id", "resource_type", "system", "value"]
        rows = [
            {
                "connection_id": self.connection_id,
                "patient_id": patient_id,
                "resource_type": resource_type,
                "system": system,
                "value": value,
                "server_id": match.server_id,
                "state": "matched" if match.server_id else "unmatched",
                "reason": match.reason,
                "checked_at": now,
            }
            # In the order of the key: two workers that write the same rows never wait in a circle.
            for (patient_id, (resource_type, system, value)), match in sorted(
                matches.items(), key=lambda item: item[0]
            )
        ]
        with self.database.begin() as session:
            upsert(session, ReferenceLink, key, rows)


def _only(one: Wanted, hits: list[Tree], owners: Mapping[str, str] | None) -> Match:
    """Return the one hit there is; of what is a patient's, the one that is this patient's."""
    theirs = hits if owners is None else [hit for hit in hits if owners.get(hit["id"]) == one[0]]
    ids = {hit["id"] for hit in theirs}
    # Of several, who is not in use any more is not meant: a duplicate that was merged, an old role.
    in_use = {hit["id"] for hit in theirs if hit.get("active") is not False}
    if len(ids) == 1 or len(in_use) == 1:
        return Match(min(in_use or ids))
    if ids:
        return Match(reason=Reason.SEVERAL_FOUND_THERE, sought=(one[1],))
    reason = Reason.NOT_THIS_PATIENTS_THERE if hits else Reason.NOT_FOUND_THERE
    return Match(reason=reason, sought=(one[1],))


def _believed(
    session: Session, connection_id: str, names: Collection[Wanted], since: datetime, now: datetime
) -> dict[Wanted, Match]:
    """Return the matches that are young enough; who was not found is looked for every time."""
    values = sorted({name[2] for _, name in names})
    link = ReferenceLink
    believed: dict[Wanted, Match] = {}
    for chunk in chunked(values):
        rows = session.scalars(
            select(link).where(
                link.connection_id == connection_id,
                link.value.in_(chunk),
                link.state == "matched",
                link.checked_at > since,
                # A moment that has yet to come was written by a clock that was wrong.
                link.checked_at <= now,
            )
        )
        for row in rows:
            one = (row.patient_id, (row.resource_type, row.system, row.value))
            believed[one] = Match(row.server_id, is_believed=True)
    return {one: believed[one] for one in names if one in believed}
