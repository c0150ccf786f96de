"""Everything that the service refuses, each with its HTTP status and FHIR issue code.

::

    ServiceError
    ├── InvalidInput          400  not readable as what it should be
    ├── Unauthorized          401  no token, or none that we trust
    ├── Forbidden             403  a token, but not for this
    ├── NotFound              404
    ├── Conflict              409  it contradicts what is kept here
    ├── Gone                  410
    ├── VersionConflict       412  somebody else was faster (If-Match)
    ├── TooLarge              413
    ├── UnsupportedMedia      415
    ├── InvalidContent        422  readable, but not valid R4 or against a rule of ours
    ├── PreconditionRequired  428  an update without If-Match
    ├── Unavailable           503  try again later
    └── InsufficientStorage   507  the disk is full
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from fhir_mappings.errors import Finding


class ServiceError(Exception):
    """A refusal, with all its findings; a plain sentence becomes one finding without a path."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(self, findings: str | Finding | Sequence[Finding]) -> None:
        if isinstance(findings, str):
            findings = Finding("", findings, self.code)
        self.findings = [findings] if isinstance(findings, Finding) else list(findings)
        super().__init__("; ".join(str(f) if f.path else f.problem for f in self.findings))

    @property
    def outcome(self) -> dict[str, Any]:
        return to_operation_outcome(self.findings)


class InvalidInput(ServiceError):
    """What came in cannot be read as what it should be."""

    status = 400
    code = "invalid"


class Unauthorized(ServiceError):
    """Nobody that we know is asking."""

    status = 401
    code = "login"


class Forbidden(ServiceError):
    """We know who is asking, and they may not."""

    status = 403
    code = "forbidden"


class NotFound(ServiceError):
    """There is no such thing here."""

    status = 404
    code = "not-found"


class Conflict(ServiceError):
    """It contradicts what is kept here."""

    status = 409
    code = "conflict"


class Gone(ServiceError):
    """It was here, and is no more."""

    status = 410
    code = "deleted"


class VersionConflict(ServiceError):
    """The version that If-Match names is not the current one."""

    status = 412
    code = "conflict"


class TooLarge(ServiceError):
    """More than we read."""

    status = 413
    code = "too-costly"


class UnsupportedMedia(ServiceError):
    """A media type that we do not read."""

    status = 415
    code = "not-supported"


class InvalidContent(ServiceError):
    """Readable, but not valid R4, or against a rule of ours."""

    status = 422
    code = "invalid"


class PreconditionRequired(ServiceError):
    """An update has to name the version that it changes."""

    status = 428
    code = "required"


class Unavailable(ServiceError):
    """Not now; the same request may do later."""

    status = 503
    code = "transient"


class InsufficientStorage(ServiceError):
    """There is no room to keep it; somebody has to make some."""

    status = 507
    code = "no-store"


def to_operation_outcome(findings: Iterable[Finding], severity: str = "error") -> dict[str, Any]:
    """Say findings as a FHIR OperationOutcome, ``expression`` naming the element of each."""
    issues = []
    for finding in findings:
        issue: dict[str, Any] = {
            "severity": severity,
            "code": finding.code,
            "diagnostics": finding.problem,
        }
        if finding.path:
            issue["expression"] = [finding.path]
        issues.append(issue)
    return {"resourceType": "OperationOutcome", "issue": issues}
