"""Refused records sent once more, where whom or what they name was not looked at just before."""

from service.sync.context import RunContext
from service.sync.identity.links import Job
from service.sync.identity.references import ReferencesThere, all_wanted
from service.sync.push.results import PushResult, Requeue
from service.sync.states import Reason, State


class SecondLook:
    """Gives each record one more chance in a run; what is refused after that is refused for good."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._given: set[str] = set()

    def judge(self, result: PushResult, addresses: ReferencesThere) -> PushResult:
        """Return a result, or that the record is to be sent anew once all that it names was looked at."""
        job = result.job
        if result.reason is not Reason.REFUSED or job.record_id in self._given:
            return result
        names = all_wanted(job.patient_id or "", job.tree)
        people = _people(job)
        if not names & addresses.believed and not people & addresses.believed_people:
            return result
        self._given.add(job.record_id)
        self._context.reference_matcher().expire(names)
        self._context.matcher().expire(people)
        return PushResult(job, state=State.PENDING, when=Requeue.NOW)


def _people(job: Job) -> set[str]:
    """Return the patients here whom a record is about or names."""
    addresses = [reference.split("/") for reference in job.references]
    return {job.patient_id or ""} | {one for kind, one in addresses if kind == "Patient"}
