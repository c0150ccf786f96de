"""Patients looked at there: each at most once, many at a time where the server takes that."""

from collections.abc import Collection, Iterable, Mapping

from fhir_mappings.references import Name
from service.fhir_answers import Answered, Cause, Failure, Found, Outcome, Refused, Unknown
from service.fhir_client import FHIRClient
from service.sync import bundles, plan
from service.sync.identifiers import SameSystems, canonical, chunked, spellings, token
from service.sync.match_policy import NotShown, PatientThere, Sight, patient_there, sight_of
from service.sync.plan import Method

#: After so many that got no answer one after the other, the others of the pass are not asked for.
MOST_UNANSWERED = 3


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

    def look_at(self, server_ids: Collection[str]) -> None:
        """Look at many Patients at once."""
        wanted = sorted(set(server_ids) - self._sights.keys())
        for chunk in chunked(wanted):
            if len(chunk) == 1 or not self._takes_bundles or not self._read_bundle(chunk):
                for server_id in chunk:
                    self._read(server_id)
        unreadable = [one for one in wanted if self._sights[one] is NotShown.UNREADABLE]
        if len(wanted) > 1 and len(unreadable) == len(wanted):
            raise ConnectionFailed(Refused(403))

    def search(self, wanted: Mapping[str, Collection[Name]]) -> dict[str, list[PatientThere]]:
        """Search for people by identifier: a name of the caller's -> what that person is called.

        What was found for one person but carries none of their identifiers is among the hits too.
        """
        hits: dict[str, list[PatientThere]] = {}
        for chunk in chunked(list(wanted)):
            hits |= self._search({key: wanted[key] for key in chunk})
        return hits

    def _search(self, wanted: Mapping[str, Collection[Name]]) -> dict[str, list[PatientThere]]:
        names = {
            key: {spelling for name in ours for spelling in spellings(name, self._same_systems)}
            for key, ours in wanted.items()
        }
        everybody = self._hits({name for ours in names.values() for name in ours})
        by_name: dict[Name, list[PatientThere]] = {}
        for hit in everybody:
            for name in {canonical(name, self._same_systems) for name in hit.names}:
                by_name.setdefault(name, []).append(hit)
        asked = {canonical(name, self._same_systems) for ours in names.values() for name in ours}
        is_explained = all(
            asked & {canonical(name, self._same_systems) for name in hit.names} for hit in everybody
        )
        hits = {
            key: _each_once(
                hit for name in ours for hit in by_name.get(canonical(name, self._same_systems), ())
            )
            for key, ours in names.items()
        }
        if not is_explained:
            # Somebody was found whose identifier is shown in a form that says another thing: but who?
            for key in [key for key in hits if not hits[key]]:
                hits[key] = everybody if len(wanted) == 1 else self._hits(names[key])
        return hits

    def _hits(self, names: Collection[Name]) -> list[PatientThere]:
        tokens = [token(*name) for name in sorted(names)]
        result = self._client.search_any("Patient", "identifier", tokens)
        if not isinstance(result, Found):
            raise ConnectionFailed(result)
        return _each_once(
            patient_there(one, self._base_url) for one in result.resources if one["resourceType"] == "Patient"
        )

    def _read(self, server_id: str) -> None:
        if self._unanswered >= MOST_UNANSWERED:
            self._sights[server_id] = NotShown.NO_ANSWER
            return
        self._see(server_id, self._client.read("Patient", server_id))

    def _read_bundle(self, server_ids: list[str]) -> bool:
        """Read Patients in one batch; False where the server takes none, or answers too little."""
        outcome = self._client.bundle(bundles.reads("Patient", server_ids))
        outcomes = bundles.readings(outcome, len(server_ids))
        if outcomes is None:
            self._takes_bundles = not isinstance(outcome, Refused)
            _require_connection(outcome)
            return False
        for server_id, one in zip(server_ids, outcomes, strict=True):
            self._see(server_id, one)
        return True

    def _see(self, server_id: str, outcome: Outcome) -> None:
        _require_connection(outcome)
        is_slow = isinstance(outcome, Unknown) and outcome.cause is Cause.TIMEOUT
        self._unanswered = self._unanswered + 1 if is_slow else 0
        self._sights[server_id] = sight_of(server_id, outcome, self._base_url)


def _require_connection(outcome: Outcome) -> None:
    """Raise ConnectionFailed for what says that nothing can be asked there at all."""
    if isinstance(outcome, Answered):
        return
    if isinstance(outcome, Refused) and outcome.status != 401:
        return
    if plan.next_step(Method.READ, outcome).pause:
        raise ConnectionFailed(outcome)


def _each_once(hits: Iterable[PatientThere]) -> list[PatientThere]:
    return list({hit.server_id: hit for hit in hits}.values())
