"""Refused records sent once more, where whom or what they name was not looked at just before."""

from service.sync.context import Desk
from service.sync.identity.links import Job
from service.sync.identity.references import Addresses, named, wanted
from service.sync.push.results import Verdict, When
from service.sync.states import Reason, State


class SecondLook:
    """Gives each record one more chance in a run; what is refused after that is refused for good."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._given: set[str] = set()

    def judge(self, verdict: Verdict, addresses: Addresses) -> Verdict:
        """Return a verdict, or that the record is to be sent anew once all that it names was looked at."""
        job = verdict.job
        if verdict.reason is not Reason.REFUSED or job.record_id in self._given:
            return verdict
        names = {wanted(job.patient_id or "", name) for name in named(job.tree)}
        people = _people(job)
        if not names & addresses.believed and not people & addresses.believed_people:
            return verdict
        self._given.add(job.record_id)
        self._desk.reference_matcher().expire(names)
        self._desk.matcher().expire(people)
        return Verdict(job, State.PENDING, When.NOW)


def _people(job: Job) -> set[str]:
    """Return the patients here whom a record is about or names."""
    addresses = [reference.split("/") for reference in job.references]
    return {job.patient_id or ""} | {one for kind, one in addresses if kind == "Patient"}
