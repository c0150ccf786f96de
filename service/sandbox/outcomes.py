"""What went wrong, as an OperationOutcome."""

from fhir_mappings.exact_json import Tree


class FHIRError(Exception):
    """A request that is refused: the HTTP status, and what the server says about it.

    code: FHIR issue type. The server that the sandbox resembles says `processing` nearly always.
    """

    def __init__(self, status: int, diagnostics: str, code: str = "processing") -> None:
        super().__init__(diagnostics)
        self.status = status
        self.diagnostics = diagnostics
        self.code = code

    def outcome(self) -> Tree:
        return operation_outcome("error", self.code, self.diagnostics)


def operation_outcome(severity: str, code: str, diagnostics: str) -> Tree:
    issue = {"severity": severity, "code": code, "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
