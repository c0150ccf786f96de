"""What a record was judged by before it is sent, and whether that still stands. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from service.sync.identity.links import Job
from service.sync.identity.references import Logical, ReferencesThere, named


@dataclass(frozen=True)
class Grounds:
    """How it is now. records: id -> generation and patient. matches: our id -> the Patient there."""

    records: Mapping[str, tuple[int, str | None]] = field(default_factory=dict)
    matches: Mapping[str, str] = field(default_factory=dict)

    def hold_for(self, job: Job, addresses: ReferencesThere) -> bool:
        """Tell whether a record is as it was leased, and its people are who they were found to be."""
        if self.records.get(job.record_id) != (job.row.generation, job.patient_id):
            return False
        found = {one: addresses.there.get(f"Patient/{one}") for one in people_of(job, addresses.registered)}
        # Nothing rests on who is not there: what a copy names by identifier already stays so.
        return all(there in (None, f"Patient/{self.matches.get(one)}") for one, there in found.items())


def people_of(job: Job, registered: Mapping[Logical, str]) -> Set[str]:
    """Return the patients here whom a record is about or names, by address or by identifier."""
    addresses = (reference.partition("/") for reference in job.references)
    by_address = {patient_id for kind, _, patient_id in addresses if kind == "Patient"}
    by_name = {registered[name] for name in named(job.tree) if name in registered}
    return by_address | by_name | ({job.patient_id} if job.patient_id else set())
