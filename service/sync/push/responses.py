"""What a server's answers mean for the records that were sent, one by one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from fhir_mappings.exact_json import Tree
from service.errors import to_operation_outcome
from service.fhir_client.outcomes import Address, Answered, Cause, Found, Outcome, Unknown, version_of
from service.sync.context import RunContext
from service.sync.merge.resources import not_to_be_taken
from service.sync.policy import NOT_MODIFIED, Method, Next, Step, next_step
from service.sync.push.drafts import Draft
from service.sync.push.lookup import ServerLookup, is_as_seen
from service.sync.push.results import PushResult, Requeue, ServerCopy, after_failure, rejected, synced
from service.sync.states import Reason, State

#: A type and an id there.
Place = tuple[str, str]


class ResponseReader:
    """Hears answers, asks back where one says too little, and returns results."""

    def __init__(self, context: RunContext, lookup: ServerLookup) -> None:
        self._context = context
        self._lookup = lookup

    def results(self, drafts: list[Draft], outcomes: list[Outcome]) -> list[PushResult]:
        """Return what was answered, entry by entry."""
        bare = [_without_bad_body(_as_answer(*both)) for both in zip(drafts, outcomes, strict=True)]
        answers = [
            (one, outcome, self._context.next_step(method_of(one), outcome, one.job.row.attempts))
            for one, outcome in zip(drafts, self._with_bodies(bare), strict=True)
        ]
        results: list[PushResult] = []
        if any(_shows_permission(following) for _, _, following in answers):
            results += self._context.permission.granted()
        for (one, outcome, following), before in zip(answers, bare, strict=True):
            results.extend(self._results(one, outcome, following, is_read_back=before is not outcome))
        return self._looked_up(results)

    def failed(self, drafts: list[Draft], method: Method, outcome: Outcome) -> list[PushResult]:
        return self._looked_up(self._lookup.failed([one.job for one in drafts], method, outcome))

    def _results(
        self, one: Draft, outcome: Outcome, following: Next, *, is_read_back: bool
    ) -> Iterator[PushResult]:
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            yield self._done(one, outcome, is_read_back=is_read_back)
        elif following.step is Step.MERGE:
            refreshed = self._lookup.refresh(one.job, outcome)
            if refreshed is not None:
                yield refreshed
        elif following.reason is Reason.FORBIDDEN:
            yield from self._forbidden(after_failure(one.job, following, outcome))
        else:
            yield from self._lookup.failed([one.job], method_of(one), outcome)

    def _forbidden(self, result: PushResult) -> Iterator[PushResult]:
        known = self._context.permission.forbidden(result)
        if self._context.permission.is_denied:
            self._context.report.problem = Reason.FORBIDDEN
            known = [
                PushResult(
                    one.job,
                    state=State.PENDING,
                    when=Requeue.LATER,
                    reason=Reason.FORBIDDEN,
                    outcome=one.outcome,
                )
                for one in known
            ]
        yield from known

    def _looked_up(self, results: list[PushResult]) -> list[PushResult]:
        """Ask at once what became of creates that got no answer; most are there.

        One that is not there may still be on its way: it stays unknown and is asked for again later.
        """
        lost = [one.job for one in results if one.state is State.UNKNOWN and one.job.is_create]
        if not lost or self._context.report.problem:
            return results
        there = self._lookup.find_copies(lost)
        # A search that failed says nothing: what was unknown stays so.
        sure = {record_id: one for record_id, one in there.items() if one.when is not Requeue.LATER}
        return [sure.get(one.job.record_id, one) for one in results]

    def _done(self, one: Draft, outcome: Answered, *, is_read_back: bool) -> PushResult:
        body = outcome.body
        assert body is not None
        if not one.entry.replaces and outcome.status == 200:
            return self._lookup.adopt(one.job, body)
        if is_read_back and (problems := not_to_be_taken(body)):
            return rejected(one.job, Reason.NOT_VALID_THERE, to_operation_outcome(problems))
        if is_read_back and not _may_be_the_written(body, outcome):
            if one.job.known.body is None or not is_as_seen(one.job.known, body):
                # Somebody else wrote after us: their version is not ours, it has to be merged.
                return self._lookup.take_in(one.job, body)
            if outcome.status != NOT_MODIFIED:
                return PushResult(one.job, state=State.UNKNOWN, when=Requeue.LATER, reason=Reason.NO_ANSWER)
        if one.again:
            return PushResult(
                one.job,
                state=State.PENDING,
                when=Requeue.NOW,
                seen=ServerCopy(
                    server_id=body["id"], server_version=outcome.version, body=body, synced_version=None
                ),
            )
        return synced(
            one.job,
            ServerCopy(
                server_id=body["id"],
                server_version=outcome.version,
                body=body,
                synced_version=one.job.version,
            ),
        )

    def _with_bodies(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Read what the server wrote but did not show: many at once, and one by one what that misses."""
        bare = {
            (one.address.resource_type, one.address.server_id): one
            for one in outcomes
            if isinstance(one, Answered) and one.body is None and one.address
        }
        bodies = self._searched(bare.keys()) if len(bare) > 1 else {}
        for place, one in bare.items():
            # The index that searches read may lag behind the write.
            if place not in bodies or not _is_the_written(bodies[place], one):
                read = self._context.client.read(*place)
                if isinstance(read, Answered) and read.body and read.body.get("id") == place[1]:
                    bodies[place] = read.body
        return [_with_body(one, bodies) for one in outcomes]

    def _searched(self, places: Iterable[Place]) -> dict[Place, Tree]:
        by_type: dict[str, list[str]] = {}
        for resource_type, server_id in places:
            by_type.setdefault(resource_type, []).append(server_id)
        bodies: dict[Place, Tree] = {}
        for resource_type, ids in by_type.items():
            for _, page in self._context.client.pages_of_any(resource_type, "_id", ids):
                resources = page.resources if isinstance(page, Found) else []
                bodies.update({(body["resourceType"], body["id"]): body for body in resources})
        return bodies


def _as_answer(one: Draft, outcome: Outcome) -> Outcome:
    """Take "nothing was changed" for an answer without a body: the copy there, as we knew it, stands."""
    if next_step(method_of(one), outcome).step is not Step.READ_BACK:
        return outcome
    address = Address(one.entry.resource_type, str(one.entry.tree["id"]))
    return Answered(NOT_MODIFIED, body=None, version=one.entry.version, address=address)


def _without_bad_body(outcome: Outcome) -> Outcome:
    """Take what an answer shows for nothing where no copy can say so; what was stored may be fine."""
    if isinstance(outcome, Answered) and outcome.body is not None and not_to_be_taken(outcome.body):
        return replace(outcome, body=None)
    return outcome


def _with_body(outcome: Outcome, bodies: Mapping[Place, Tree]) -> Outcome:
    if not isinstance(outcome, Answered) or outcome.body is not None:
        return outcome
    place = (outcome.address.resource_type, outcome.address.server_id) if outcome.address else None
    body = bodies.get(place) if place else None
    if body is None:
        return Unknown(Cause.DROPPED, "the server does not show what it wrote")
    return replace(outcome, body=body, version=outcome.version or version_of(body))


def _is_the_written(body: Tree, outcome: Answered) -> bool:
    return _may_be_the_written(body, outcome) and not not_to_be_taken(body)


def _may_be_the_written(body: Tree, outcome: Answered) -> bool:
    """Tell whether a body is of the version that the answer to a write names, as far as that can be told."""
    named = {outcome.version, outcome.address.version if outcome.address else None}
    return version_of(body) in {None, *named} or named == {None}


def _shows_permission(following: Next) -> bool:
    """Tell whether an answer to a write shows that writing is allowed in general."""
    return following.step in (Step.DONE, Step.MERGE, Step.GONE) or (
        following.step is Step.REJECT and following.reason is not Reason.FORBIDDEN
    )


def method_of(one: Draft) -> Method:
    """Return how a draft is sent."""
    return Method.UPDATE if one.entry.replaces else Method.CREATE
