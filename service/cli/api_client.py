"""A plain client of our own HTTP API: what the demo sends goes the way of everybody else."""

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import click

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree


class ApiClient:
    """Speaks JSON with one service."""

    def __init__(self, base_url: str, timeout_seconds: float = 120) -> None:
        self._address = urlsplit(base_url).netloc
        self._timeout_seconds = timeout_seconds

    def get(self, path: str) -> Tree:
        return self._asked("GET", path)

    def post(self, path: str, body: Tree) -> Tree:
        return self._asked("POST", path, body)

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Return once the service answers. Raises ClickException if it does not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                status, _ = self._exchange("GET", "/readyz")
            except OSError:
                status = None
            if status == 200:
                return
            time.sleep(0.1)
        raise click.ClickException("the service did not start in time")

    def _asked(self, method: str, path: str, body: Tree | None = None) -> Tree:
        status, text = self._exchange(method, path, body)
        if status >= 300:
            raise click.ClickException(f"{method} {path} was answered with {status}")
        tree: Tree = exact_json.parse(text)
        return tree

    def _exchange(
        self, method: str, path: str, body: Tree | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout_seconds)
        try:
            text = None if body is None else exact_json.dump(body).encode()
            content = {"Content-Type": "application/json"} if text else {}
            connection.request(method, path, text, {**content, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
