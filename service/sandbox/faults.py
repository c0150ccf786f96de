"""Ways to misbehave on purpose: hooks for tests, and the answers that networks give."""

from collections.abc import Callable, Iterator

from flask import Request, Response

#: Called before anything was done; with a response, nothing is done.
Before = Callable[[Request], Response | None]
#: Called with the finished response; may give another one, but what was done stays done.
AfterCommit = Callable[[Request, Response], Response | None]


def none_before(_request: Request) -> Response | None:
    return None


def none_after(_request: Request, _response: Response) -> Response | None:
    return None


def dropped() -> Response:
    """The connection closes without an answer."""
    return Response(_cut(b""), direct_passthrough=True)


def truncated(whole: Response) -> Response:
    """The connection closes in the middle of the body, whose full length was announced."""
    body = whole.get_data()
    headers = [(name, value) for name, value in whole.headers if name != "Content-Length"]
    half = Response(_cut(body[: len(body) // 2]), whole.status_code, headers, direct_passthrough=True)
    half.headers["Content-Length"] = str(len(body))
    return half


def overloaded(status: int = 503, retry_after: str | None = None) -> Response:
    """429 or 503, with Retry-After in seconds or as an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Response("", status, headers)


def web_page(status: int = 200) -> Response:
    """HTML in the place of FHIR, as proxies and log-in pages give it."""
    return Response("<html><body><h1>Please log in</h1></body></html>", status, content_type="text/html")


def _cut(first: bytes) -> Iterator[bytes]:
    if first:
        yield first
    raise ConnectionResetError("dropped on purpose")
