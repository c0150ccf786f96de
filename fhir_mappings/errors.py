"""What can be wrong with a resource or a record, always said by element path."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one resource.

    path: FHIRPath of the element, from the resource type: ``Goal.target[0].measure``.
    problem: a sentence for a person; it never repeats a value of the resource.
    code: FHIR issue type (https://hl7.org/fhir/R4/valueset-issue-type.html).
    """

    path: str
    problem: str
    code: str = "invalid"

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class MappingError(ValueError):
    """An element that cannot be expressed; it says which, and decides nothing."""

    def __init__(self, path: str, problem: str, code: str = "invalid") -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
        self.code = code

    def under(self, parent: str) -> "MappingError":
        """Return the same error, seen from the element that holds this path."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return MappingError(f"{parent}{joint}{self.path}", self.problem, self.code)

    @property
    def finding(self) -> Finding:
        return Finding(self.path, self.problem, self.code)


class InvalidResource(ValueError):
    """A resource that is not valid R4, with every finding at once."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = findings
