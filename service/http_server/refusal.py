"""What is answered to what never becomes a request: an OperationOutcome, and nothing of what came."""

from waitress.task import ErrorTask

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from service import logs
from service.errors import to_operation_outcome

_log = logs.get(__name__)

_PROBLEMS = {
    400: Finding("", "this is not an HTTP request that can be read", "structure"),
    408: Finding("", "the request took too long to arrive", "timeout"),
    413: Finding("", "the body is larger than is read here", "too-costly"),
    431: Finding("", "the head of the request is larger than is read here", "too-costly"),
    501: Finding("", "this transfer coding is not read here", "not-supported"),
}
_OTHER = Finding("", "something went wrong here", "exception")


class Refusal(ErrorTask):
    """Answers in the place of the app."""

    def execute(self) -> None:
        error = self.request.error
        outcome = to_operation_outcome([_PROBLEMS.get(error.code, _OTHER)])
        body = exact_json.dump(outcome).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/fhir+json"))
        self.response_headers.append(("Cache-Control", "no-store"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        _log.info("request refused unread", status=error.code)
