"""The processes of the server: gunicorn starts them, replaces one that died or hangs, ends them in order."""

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from service.config import Config
from service.http_server.worker import Worker


class Processes(BaseApplication):
    """Serves the app that ``make_app`` makes, once in each process."""

    def __init__(self, make_app: Callable[[], Any], config: Config, workers: int, threads: int) -> None:
        self._make_app = make_app
        self.config = config
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._options: dict[str, Any] = {
            "bind": f"{host}:{config.port}",
            "worker_class": Worker,
            "workers": workers,
            "threads": threads,
            "graceful_timeout": 30,
            "loglevel": config.log_level.lower(),
            "logger_class": Log,
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
        return self._make_app()


class Log(Logger):
    """What gunicorn says of its processes, through the one handler and in the one format of all our lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
