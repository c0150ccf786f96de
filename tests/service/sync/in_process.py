"""A server reached without a socket: requests are handed to the Flask application, in this thread."""

from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

#: An address that nobody serves; the adapter is mounted on it.
BASE_URL = "http://ehr.in.process/fhir"


class _Adapter(HTTPAdapter):
    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._client = app.test_client()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        answer = self._client.open(
            parts.path,
            method=str(request.method),
            query_string=parts.query,
            headers=list(request.headers.items()),
            data=request.body,
        )
        headers = dict(answer.headers.items())
        body = HTTPResponse(BytesIO(answer.get_data()), headers, answer.status_code, preload_content=False)
        return self.build_response(request, body)


def session_for(app: Flask) -> requests.Session:
    """Return a session that reaches the application, and nothing else."""
    session = requests.Session()
    session.mount(BASE_URL, _Adapter(app))
    return session
