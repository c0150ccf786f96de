"""What one run did with one connection, in numbers."""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(kw_only=True)
class Report:
    """Counts of records, all but unreadable: of entries there that cannot be told to be a resource.

    problem: why the run ended early, as a reason code. problems: also what it went on after.
    """

    connection: str = ""
    sent: int = 0
    synced: int = 0
    pulled: int = 0
    merged: int = 0
    adopted: int = 0
    conflicts: int = 0
    moved: int = 0
    rejected: int = 0
    unmatched: int = 0
    unknown: int = 0
    waiting: int = 0
    invalid: int = 0
    unreadable: int = 0
    problem: str | None = None
    problems: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: value for one in fields(self) if isinstance(value := getattr(self, one.name), int)}

    def as_fields(self) -> dict[str, Any]:
        """Return what of it a log line tells."""
        return {**self.counts(), "problem": self.problem, "problems": self.problems}

    def add_problem(self, reason: str) -> bool:
        """Note what the run goes on after, once; tell whether it is new."""
        is_new = reason not in self.problems
        if is_new:
            self.problems.append(reason)
        return is_new

    def add(self, other: "Report") -> None:
        """Add the counts of another run."""
        for name, count in other.counts().items():
            setattr(self, name, getattr(self, name) + count)
        self.problems += [f"{other.connection}: {problem}" for problem in other.problems]
        if other.problem:
            self.problem = other.problem
            self.problems.append(f"{other.connection}: {other.problem}")
