"""The production WSGI server: gunicorn with threads, set up by its own interface."""

from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from service.app import create_app
from service.config import Config


class Server(BaseApplication):  # type: ignore[misc]
    """Serves the app that ``create_app`` makes, once in each process."""

    def __init__(self, config: Config, workers: int, threads: int) -> None:
        self._config = config
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._options: dict[str, Any] = {
            "bind": f"{host}:{config.port}",
            "worker_class": "gthread",
            "workers": workers,
            "threads": threads,
            "graceful_timeout": 30,
            "loglevel": config.log_level.lower(),
            # Our own log line of each request has no query, which may name people.
            "accesslog": None,
            "proc_name": "mainstay",
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        return create_app(self._config)
