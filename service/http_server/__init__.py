"""The HTTP server: gunicorn keeps the processes, waitress speaks HTTP in each; slow clients stop none."""

from service.http_server.processes import Processes

__all__ = ["Processes"]
