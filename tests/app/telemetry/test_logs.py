"""Both formats of the log."""

import json
import logging
import subprocess
import sys
from contextvars import copy_context
from datetime import datetime

import pytest

from app.telemetry.logs import JsonLines, RequestContext, TextLines, current_request


def record(message: str, *, fields: dict[str, object] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("app.x", logging.WARNING, "x.py", 1, message, (), None)
    if fields:
        made.__dict__["fields"] = fields
    return made


def test_json_is_an_object_a_line() -> None:
    line = JsonLines().format(record("a\nb \udcff", fields={"status": 200}))
    assert "\n" not in line
    assert line.isascii()
    read = json.loads(line)
    assert datetime.fromisoformat(read.pop("time")).tzinfo is not None
    assert read == {"level": "warning", "logger": "app.x", "message": "a\nb \udcff", "status": 200}


def test_a_line_carries_the_id_of_its_request() -> None:
    def within() -> tuple[str, str, str]:
        request = RequestContext("mine")
        current_request.set(request)
        during = JsonLines().format(record("a")), TextLines().format(record("a"))
        request.is_over = True
        return *during, JsonLines().format(record("a"))

    as_json, as_text, afterwards = copy_context().run(within)
    assert "request_id" not in afterwards
    assert json.loads(as_json)["request_id"] == "mine"
    assert as_text.endswith("warning a request_id=mine")
    assert "request_id" not in JsonLines().format(record("a"))


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_an_error_comes_with_its_traceback(formatter: logging.Formatter) -> None:
    failed = record("a")
    try:
        raise RuntimeError("planted")
    except RuntimeError:
        failed.exc_info = sys.exc_info()
    assert "RuntimeError: planted" in formatter.format(failed)


def test_every_log_of_the_process_goes_to_stderr_in_that_format() -> None:
    script = (
        "import logging, app.telemetry.logs; app.telemetry.logs.configure('json')\n"
        "logging.getLogger('uvicorn.error').info('started')\n"
        "logging.getLogger('anything').debug('details')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    assert [json.loads(line)["message"] for line in ran.stderr.splitlines()] == ["started"]
