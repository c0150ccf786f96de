"""Two patients here who are one there: nothing is sent for either. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fhir_mappings.references import Name
from service.sync.identity.identifiers import SameSystems, canonical
from service.sync.identity.match_policy import Judgement, Matched, PatientThere, Unverified
from service.sync.states import Reason


@dataclass(frozen=True)
class Disputed:
    """This Patient it would be, were it not that another patient here is matched to them as well."""

    patient: PatientThere


def claimants(judged: Mapping[str, Judgement]) -> dict[str, set[str]]:
    """Return who is matched to each Patient there, by the ids here."""
    claims: dict[str, set[str]] = {}
    for patient_id, judgement in judged.items():
        if isinstance(judgement, Matched):
            claims.setdefault(judgement.patient.server_id, set()).add(patient_id)
    return claims


def settled(
    judged: Mapping[str, Judgement],
    held: Mapping[str, Collection[str]],
    called: Mapping[Name, Collection[str]],
    same_systems: SameSystems = (),
) -> dict[str, Judgement | Disputed]:
    """Return what is to be said of each once all claims are known.

    held: by those who could not be verified, the Patients whom they were matched to or disputed.
    called: who is registered here by each identifier, in canonical form, that the Patients show.
    """
    claims = claimants(judged)
    for judgement in judged.values():
        if isinstance(judgement, Matched):
            claims[judgement.patient.server_id] |= owners(judgement.patient, called, same_systems)
    unsure = _each_with_holders(held)
    return {patient_id: _settled(patient_id, one, claims, unsure) for patient_id, one in judged.items()}


def owners(
    there: PatientThere, called: Mapping[Name, Collection[str]], same_systems: SameSystems
) -> set[str]:
    """Return who is registered here by what a Patient there shows: each as good as claims them."""
    return {one for name in there.names for one in called.get(canonical(name, same_systems), ())}


def _settled(
    patient_id: str,
    judgement: Judgement,
    claims: Mapping[str, set[str]],
    unsure: Mapping[str, set[str]],
) -> Judgement | Disputed:
    if not isinstance(judgement, Matched):
        return judgement
    server_id = judgement.patient.server_id
    if len(claims[server_id]) > 1:
        return Disputed(judgement.patient)
    if unsure.get(server_id, set()) - {patient_id}:
        return Unverified(Reason.PATIENT_NOT_VERIFIED)
    return judgement


def _each_with_holders(held: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    holders: dict[str, set[str]] = {}
    for patient_id, server_ids in held.items():
        for server_id in server_ids:
            holders.setdefault(server_id, set()).add(patient_id)
    return holders
