"""Logging to stderr: text for people, or one JSON object per line for programs.

A record carries named values in ``extra={"fields": {...}}``; both formats show them. Records
logged during a request carry its id."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal


@dataclass
class RequestContext:
    """Filled by the middleware, read when the request is logged."""

    id: str
    path: str = ""  # as routes see it
    key_name: str | None = None  # of the API key
    problem: str | None = None  # kind of the problem answered, such as "not-found"
    is_over: bool = False  # timers set by a request still run in its context later


# Each request has its own context; threads that work for it have copies, with the same object.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


LogFormat = Literal["text", "json"]


def configure(log_format: LogFormat, *, level: str = "info") -> None:
    """Write all logs of the process, including uvicorn's, to stderr in this format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, request_id and named values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # ASCII, so always one line


class TextLines(logging.Formatter):
    """Time, level, message, then the named values as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an error with a traceback takes several."""
        values = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        words = [f"{_time(record):%F %T}", record.levelname.lower(), record.getMessage(), values]
        line = " ".join(word for word in words if word)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    request = current_request.get()
    fields = {"request_id": request.id} if request and not request.is_over else {}
    return fields | getattr(record, "fields", {})
