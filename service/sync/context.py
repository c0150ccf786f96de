"""One connection at work: what push and pull share."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.chart import Chart
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Outcome
from service.store.database import Database
from service.sync.identity.matching import Matcher, MatchRules
from service.sync.identity.reference_matching import ReferenceMatcher
from service.sync.identity.subjects import Subjects
from service.sync.incoming import Incoming
from service.sync.lease_holder import LeaseHolder
from service.sync.policy import Method, Next, at_fhir, next_step
from service.sync.report import Report
from service.sync.server.capabilities import Capabilities
from service.sync.server.permission import Permission


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A connection, its client, and all that work on it needs.

    lease_holder: of this run, which holds leases. stopping: whether to begin nothing further.
    """

    connection_id: str
    name: str
    base_url: str
    client: FHIRClient
    capabilities: Capabilities
    database: Database
    chart: Chart
    clock: Callable[[], datetime]
    rng: random.Random
    lease_holder: LeaseHolder
    batch_size: int
    stopping: Callable[[], bool]
    match_rules: MatchRules
    report: Report
    permission: Permission[Any] = field(default_factory=Permission)

    @property
    def owner(self) -> str:
        return self.lease_holder.owner

    def next_step(self, method: Method, outcome: Outcome, attempts: int = 0) -> Next:
        """Say what follows; what only may concern the whole connection is settled by asking who answers."""
        following = next_step(method, outcome, attempts)
        if following.unless_fhir and self.client.is_fhir():
            return at_fhir(method, following)
        return following

    def matcher(self) -> Matcher:
        return Matcher(
            database=self.database,
            connection_id=self.connection_id,
            base_url=self.base_url,
            client=self.client,
            takes_bundles=self.capabilities.has_batch,
            rules=self.match_rules,
            clock=self.clock,
            rng=self.rng,
        )

    def reference_matcher(self) -> ReferenceMatcher:
        return ReferenceMatcher(
            database=self.database,
            connection_id=self.connection_id,
            client=self.client,
            subjects=Subjects(self.matcher()),
            rules=self.match_rules,
            clock=self.clock,
            next_step=self.next_step,
        )

    def incoming(self) -> Incoming:
        return Incoming(self.chart, self.connection_id, self.name, self.base_url, self.clock)
