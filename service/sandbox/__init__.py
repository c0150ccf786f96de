"""A server to practise against: a small FHIR R4 server that keeps everything in memory."""

from service.sandbox.app import create_sandbox
from service.sandbox.server import running, serve

__all__ = ["create_sandbox", "running", "serve"]
