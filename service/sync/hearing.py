"""What a server's answers mean for the records that were sent, one by one."""

from collections.abc import Mapping
from dataclasses import replace

from fhir_mappings.exact_json import Tree
from service.fhir_answers import Answered, Cause, Found, Outcome, Unknown, version_of
from service.sync import plan
from service.sync.desk import Desk
from service.sync.drafting import Draft
from service.sync.identifiers import chunked
from service.sync.plan import Method, Step
from service.sync.reasons import State
from service.sync.resolving import Resolver
from service.sync.verdict import Seen, Verdict, When, synced


class Hearing:
    """Hears answers, asks back where one says too little, and returns verdicts."""

    def __init__(self, desk: Desk, resolver: Resolver) -> None:
        self._desk = desk
        self._resolver = resolver

    def told(self, drafts: list[Draft], outcomes: list[Outcome]) -> list[Verdict]:
        """Return what was answered, entry by entry."""
        whole = self._with_bodies(outcomes)
        verdicts = []
        for one, outcome in zip(drafts, whole, strict=True):
            following = plan.next_step(method_of(one), outcome, one.job.row.attempts)
            if following.step is Step.DONE:
                assert isinstance(outcome, Answered)
                verdicts.append(self._verdict(one, outcome, outcome.body))
            elif following.step is Step.MERGE:
                told = self._resolver.catch_up(one.job, outcome)
                verdicts.extend([told] if told else [])
            else:
                verdicts.extend(self._resolver.failed([one.job], method_of(one), outcome))
        return self._asked(verdicts)

    def failed(self, drafts: list[Draft], method: Method, outcome: Outcome) -> list[Verdict]:
        return self._asked(self._resolver.failed([one.job for one in drafts], method, outcome))

    def _asked(self, verdicts: list[Verdict]) -> list[Verdict]:
        """Ask at once what became of creates that got no answer; most are there.

        One that is not there may still be on its way: it stays unknown and is asked for again later.
        """
        lost = [one.job for one in verdicts if one.state is State.UNKNOWN and one.job.is_create]
        if not lost or self._desk.report.problem:
            return verdicts
        told = self._resolver.told(lost)
        # A search that failed says nothing: what was unknown stays so.
        sure = {record_id: one for record_id, one in told.items() if one.when is not When.LATER}
        return [sure.get(one.job.record_id, one) for one in verdicts]

    def _verdict(self, one: Draft, outcome: Answered, body: Tree | None) -> Verdict:
        assert body is not None
        if one.entry.version is None and outcome.status == 200:
            return self._resolver.adopt(one.job, body)
        version = outcome.version
        if one.again:
            return Verdict(one.job, State.PENDING, When.NOW, seen=Seen(body["id"], version, body, None))
        return synced(one.job, Seen(body["id"], version, body, one.job.version))

    def _with_bodies(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Read what the server wrote but did not show; many at once."""
        bare: dict[str, list[str]] = {}
        for one in outcomes:
            if isinstance(one, Answered) and one.body is None and one.address:
                bare.setdefault(one.address.resource_type, []).append(one.address.server_id)
        bodies: dict[tuple[str, str], Tree] = {}
        for resource_type, ids in bare.items():
            for some in chunked(ids):
                found = self._desk.client.search(resource_type, {"_id": ",".join(some), "_count": "200"})
                if isinstance(found, Found):
                    bodies.update({(resource_type, body["id"]): body for body in found.resources})
        return [_with_body(one, bodies) for one in outcomes]


def _with_body(outcome: Outcome, bodies: Mapping[tuple[str, str], Tree]) -> Outcome:
    if not isinstance(outcome, Answered) or outcome.body is not None:
        return outcome
    place = (outcome.address.resource_type, outcome.address.server_id) if outcome.address else None
    body = bodies.get(place) if place else None
    if body is None:
        return Unknown(Cause.DROPPED, "the server does not show what it wrote")
    # A newer version than the one written is for the next pull to merge; what counts is what was shown.
    return replace(outcome, body=body, version=version_of(body))


def method_of(one: Draft) -> Method:
    """Return how a draft is sent."""
    return Method.CREATE if one.entry.version is None else Method.UPDATE
