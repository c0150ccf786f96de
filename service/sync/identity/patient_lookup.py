"""Patients looked at there: each at most once, many at a time where the server takes that."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from fhir_mappings.references import Name
from service.fhir_client import bundles
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Answered, Cause, Failure, Found, Outcome, Refused, Unknown
from service.sync import policy
from service.sync.identity.identifiers import SameSystems, carried, chunked, spellings, token
from service.sync.identity.match_policy import NotShown, PatientThere, Sight, patient_there, sight_of
from service.sync.identity.subject_policy import subject_there
from service.sync.policy import Method, Next
from service.sync.states import Reason

#: After so many that got no answer, or were told to wait, one after the other, no more are asked for.
MOST_UNANSWERED = 3

#: What refuses a request for now, and not for what it asks.
_NOT_NOW = frozenset({408, 425, 429})


class ConnectionFailed(Exception):
    """What came is about the connection, not about a Patient."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(type(failure).__name__)
        self.failure = failure


class PatientLookup:
    """What one server shows of its Patients during one pass. Raises ConnectionFailed."""

    def __init__(
        self, client: FHIRClient, base_url: str, takes_bundles: bool, same_systems: SameSystems
    ) -> None:
        self._client = client
        self._base_url = base_url
        self._takes_bundles = takes_bundles
        self._same_systems = same_systems
        self._sights: dict[str, Sight] = {}
        self._unanswered = 0

    def sight(self, server_id: str) -> Sight:
        """Look at one Patient."""
        if server_id not in self._sights:
            self._read(server_id)
        return self._sights[server_id]

    def look_at(self, server_ids: Sequence[str]) -> None:
        """Look at many Patients at once, those named first first."""
        wanted = [one for one in dict.fromkeys(server_ids) if one not in self._sights]
        for chunk in chunked(wanted):
            if len(chunk) == 1 or not self._takes_bundles or not self._read_bundle(chunk):
                for server_id in chunk:
                    self._read(server_id)

    def search(self, wanted: Mapping[str, Collection[Name]]) -> dict[str, list[PatientThere] | NotShown]:
        """Search for people by identifier: a name of the caller's -> what that person is called.

        What was found for one person but carries none of their identifiers is among the hits too.
        """
        hits: dict[str, list[PatientThere] | NotShown] = {}
        for chunk in chunked(list(wanted)):
            hits |= self._search({key: self._spelt(wanted[key]) for key in chunk})
        return hits

    def are_about(self, server_id: str, copies: Mapping[str, list[str]]) -> bool | None:
        """Tell whether copies, ids by type, can all be read there and are about a Patient; None: not now."""
        for resource_type, ids in copies.items():
            for chunk in chunked(ids):
                result = self._client.search_any(resource_type, "_id", chunk)
                if not isinstance(result, Found):
                    self._require_connection(result)
                    return False if _is_final(result) else None
                about = {
                    one["id"]
                    for one in result.resources
                    if subject_there(one, self._base_url).server_id == server_id
                }
                if not about.issuperset(chunk):
                    return False
        return True

    def _spelt(self, names: Collection[Name]) -> set[Name]:
        return {spelling for name in names for spelling in spellings(name, self._same_systems)}

    def _search(self, wanted: Mapping[str, set[Name]]) -> dict[str, list[PatientThere] | NotShown]:
        everybody = self._hits({name for names in wanted.values() for name in names})
        if isinstance(everybody, NotShown):
            if len(wanted) == 1 or self._unanswered >= MOST_UNANSWERED:
                return dict.fromkeys(wanted, everybody)
            # It may be one of them with whom the server has a problem; the others are not to wait.
            return self._each_alone(wanted)
        hits = {key: self._carriers(everybody, names) for key, names in wanted.items()}
        explained = {hit.server_id for some in hits.values() for hit in some}
        lacking = {key: wanted[key] for key, some in hits.items() if not some}
        if lacking and any(hit.server_id not in explained for hit in everybody):
            # Somebody was found whose identifier is shown in a form that says another thing: but who?
            alone = dict.fromkeys(lacking, everybody) if len(wanted) == 1 else self._each_alone(lacking)
            return {**hits, **alone}
        return {**hits}

    def _each_alone(self, wanted: Mapping[str, set[Name]]) -> dict[str, list[PatientThere] | NotShown]:
        return {key: self._hits(names) for key, names in wanted.items()}

    def _carriers(self, hits: Iterable[PatientThere], names: Collection[Name]) -> list[PatientThere]:
        return [hit for hit in hits if carried(hit.names, names, self._same_systems)]

    def _hits(self, names: Collection[Name]) -> list[PatientThere] | NotShown:
        if self._unanswered >= MOST_UNANSWERED:
            return NotShown.NO_ANSWER
        tokens = [token(*name) for name in sorted(names)]
        result = self._client.search_any("Patient", "identifier", tokens)
        self._note(result)
        if not isinstance(result, Found):
            return self._not_found(result)
        if result.unreadable:
            # It may be one of them; who is not seen here cannot be said to be absent, or the only one.
            return NotShown.NOT_SEARCHED
        hits = {
            body["id"]: patient_there(body, self._base_url)
            for body in result.resources
            if body["resourceType"] == "Patient"
        }
        for server_id, hit in hits.items():
            # A search shows the Patient whole; nobody has to be read beside it.
            self._sights.setdefault(server_id, hit)
        return list(hits.values())

    def _read(self, server_id: str) -> None:
        if self._unanswered >= MOST_UNANSWERED:
            self._sights[server_id] = NotShown.NO_ANSWER
            return
        self._see(server_id, self._client.read("Patient", server_id))

    def _read_bundle(self, server_ids: list[str]) -> bool:
        """Read Patients in one batch; False where the server takes none, or answers too little."""
        outcome = self._client.bundle(bundles.reads("Patient", server_ids))
        outcomes = bundles.readings(outcome, "Patient", server_ids)
        if outcomes is None:
            self._takes_bundles = not isinstance(outcome, Refused)
            self._note(outcome)
            return False
        for server_id, one in zip(server_ids, outcomes, strict=True):
            if one is None:
                self._read(server_id)
            else:
                self._see(server_id, one)
        return True

    def _see(self, server_id: str, outcome: Outcome) -> None:
        self._note(outcome)
        self._sights[server_id] = sight_of(server_id, outcome, self._base_url)

    def _note(self, outcome: Outcome | Found) -> None:
        """Count what got no answer; what nobody will get one for is the connection's failure."""
        if isinstance(outcome, Found):
            self._unanswered = 0
            return
        self._require_connection(outcome)
        is_slow = isinstance(outcome, Unknown) and outcome.cause is Cause.TIMEOUT
        is_to_wait = isinstance(outcome, Refused) and outcome.status in (429, 503)
        self._unanswered = self._unanswered + 1 if is_slow or is_to_wait else 0

    def _not_found(self, failure: Failure) -> NotShown:
        """Say why a search for a Patient found nobody."""
        if isinstance(failure, Refused) and failure.status == 403:
            return NotShown.UNREADABLE
        is_refused = self._next_step(Method.SEARCH, failure).reason is Reason.LOOKUP_REFUSED
        return NotShown.NOT_SEARCHED if is_refused else NotShown.NO_ANSWER

    def _require_connection(self, outcome: Outcome) -> None:
        """Raise ConnectionFailed for what says that nothing can be asked there at all."""
        if isinstance(outcome, Answered):
            return
        if isinstance(outcome, Refused) and outcome.status != 401 and not _says_until_when(outcome):
            return
        if self._next_step(Method.READ, outcome).pause:
            raise ConnectionFailed(outcome)

    def _next_step(self, method: Method, outcome: Outcome) -> Next:
        following = policy.next_step(method, outcome)
        is_fhir = following.unless_fhir and self._client.is_fhir()
        return policy.at_fhir(method, following) if is_fhir else following


def _is_final(failure: Failure) -> bool:
    """Tell whether what was refused is refused for good, as far as that can be told."""
    return isinstance(failure, Refused) and 400 <= failure.status < 500 and failure.status not in _NOT_NOW


def _says_until_when(refusal: Refused) -> bool:
    """Tell whether a server says how long it wants to be left alone, which is of all that is asked there."""
    return refusal.status in (429, 503) and refusal.retry_after is not None
