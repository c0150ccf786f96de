"""Logging: structured lines that can hold named, harmless fields only.

People's words must not reach a log by accident, so nothing passes that is not on the list below:
no message of an exception, no text of a library, no path or query of a request.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

Event = MutableMapping[str, Any]

#: The fields that a log line may have. Their values are ours: names, numbers, our own ids.
ALLOWED = frozenset(
    {
        "action",
        "adopted",
        "address",
        "at",
        "attempts",
        "cause",
        "connection",
        "conflicts",
        "count",
        "duration_ms",
        "event",
        "exception",
        "invalid",
        "kind",
        "level",
        "logger",
        "merged",
        "method",
        "moved",
        "problem",
        "problems",
        "pulled",
        "reason",
        "rejected",
        "record_id",
        "request_id",
        "resource_type",
        "route",
        "sent",
        "server_version",
        "signal",
        "state",
        "status",
        "synced",
        "timestamp",
        "unknown",
        "unreadable",
        "unmatched",
        "version",
        "waiting",
        "worker",
    }
)

#: Loggers whose message texts are known to hold no data. ``service`` is our own code, whose
#: messages are fixed sentences; other libraries print parameters, rows, URLs and tokens.
#: gunicorn speaks of its processes alone: it never sees a request (service/http_server).
_SPEAKING = ("service", "alembic.runtime.migration", "gunicorn.error")

#: How many frames of a traceback are kept: where it happened, never with what.
_FRAMES = 8


def configure(level: str = "INFO", log_format: str = "console", stream: TextIO | None = None) -> None:
    """Set up logging for this process; everything passes one handler and its list of fields."""
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    before: list[Any] = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, timestamp]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, _hush_libraries],
            processors=[_name_exception, _keep_allowed, renderer],
        )
    )
    handler.addFilter(_is_worth_saying)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # It would log each request with its query, in which identifiers of people stand.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # It would warn of every request that has to wait a moment for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def get(name: str) -> Any:
    """Return the logger of a module; fields are keywords, the event a fixed sentence."""
    return structlog.stdlib.get_logger(name)


def _may_speak(name: str) -> bool:
    return any(name == speaking or name.startswith(f"{speaking}.") for speaking in _SPEAKING)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or _may_speak(record.name)


def _hush_libraries(_logger: Any, _method: str, event: Event) -> Event:
    """Let a library warn that something happened, not what."""
    if not _may_speak(str(event.get("logger", ""))):
        event["event"] = "a library gave a warning"
    return event


def _name_exception(_logger: Any, _method: str, event: Event) -> Event:
    """Put in the place of an exception its type and the lines of code that it came through."""
    record = event.get("_record")
    given = event.get("exc_info") or (record.exc_info if record else None)
    error = _exception(given)
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["exception"] = type(error).__name__
        event["at"] = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _exception(given: Any) -> BaseException | None:
    if isinstance(given, tuple):
        given = given[1]
    elif given is True:
        given = sys.exc_info()[1]
    return given if isinstance(given, BaseException) else None


def _short(filename: str) -> str:
    return "/".join(filename.split("/")[-2:])


def _keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    return {name: value for name, value in event.items() if name in ALLOWED}
