"""Which groups of records travel together: as many as one request takes, in order. Pure."""

from collections.abc import Iterable, Iterator

from service.sync import policy
from service.sync.identity.links import Job

#: Records that refer to each other in a circle go together; all others are groups of one.
Group = list[Job]


def packed(groups: Iterable[Group], batch_size: int, *, in_transaction: bool) -> Iterator[list[Group]]:
    """Cut groups into packs, those referred to first."""
    pack: list[Group] = []
    held: set[str] = set()
    for group in groups:
        alone = any(_travels_alone(job) for job in group)
        # Outside a transaction nothing can refer to what the same bundle creates.
        level = not in_transaction and any(job.references & held for job in group)
        if pack and (alone or level or len(jobs_of(pack)) + len(group) > batch_size):
            yield pack
            pack, held = [], set()
        pack.append(group)
        held |= {job.local for job in group}
        if alone:
            yield pack
            pack, held = [], set()
    if pack:
        yield pack


def jobs_of(groups: Iterable[Group]) -> list[Job]:
    return [job for group in groups for job in group]


def _travels_alone(job: Job) -> bool:
    # Without a version an update is safe only right after a look at what it replaces.
    is_blind = not job.is_create and job.known.server_version is None
    return is_blind or job.row.attempts >= policy.ALONE_AFTER
