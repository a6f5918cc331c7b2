"""``srcid serve``: as a process, over a real socket."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.app.cli.running import Run


@contextmanager
def started(*arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``srcid serve``; kill it at the end, or after a minute, so that no test can hang."""
    command = [sys.executable, "-m", "app", "serve", *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    ) as server:
        watchdog = threading.Timer(60, server.kill)
        watchdog.start()
        try:
            yield server
        finally:
            watchdog.cancel()
            server.kill()


def running(server: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait until the server runs; return its address and what it has said until then."""
    assert server.stdout is not None
    log = ""
    while not (address := re.search(r"running on (http://127\.0\.0\.1:\d+)", log)):
        line = server.stdout.readline()
        assert line, log
        log += line
    return address[1], log


def rest(server: subprocess.Popen[str]) -> str:
    """Return what a server still says until it ends."""
    assert server.stdout is not None
    return server.stdout.read()


def test_the_server_says_where_it_is_answers_and_stops_with_exit_code_0(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--port", 0, "--data-dir", tmp_path, "--checkpoint", tiny_checkpoint)
    with started(*options) as server:
        address, log = running(server)
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ready"
        server.send_signal(signal.SIGTERM)
        log += rest(server)
        assert server.wait() == 0, log
        assert "Traceback" not in log


def test_a_port_that_is_taken_is_told_before_the_checkpoint_is_loaded(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("serve", "--port", port, "--checkpoint", "nowhere")
    assert ran.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ran.err
    assert "--port" in ran.err


def test_a_checkpoint_that_is_not_there_is_one_sentence(run: Run) -> None:
    ran = run("serve", "--port", 0, "--checkpoint", "nowhere")
    assert ran.code == 2
    assert ran.err.startswith("srcid: no checkpoint 'nowhere'")
    assert ran.err.count("\n") == 1


def test_a_server_is_alive_before_its_checkpoint_is_loaded_and_can_be_told_to_stop_then(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--port", port, "--data-dir", tmp_path, "--checkpoint", tiny_checkpoint)
    with started(*options) as server:
        while server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/livez"):
                break
        with pytest.raises(urllib.error.HTTPError, match="503"):  # seconds before it is ready
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
        server.send_signal(signal.SIGTERM)
        log = rest(server)
        assert server.wait() == 0, log
        assert "Traceback" not in log


def test_a_json_log_begins_with_what_runs_and_has_a_line_a_request(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--port", 0, "--data-dir", tmp_path, "--checkpoint", tiny_checkpoint)
    with started(*options, SRCID_LOG_FORMAT="json", SRCID_POTR="1") as server:
        address, log = running(server)
        headers = {"X-Request-ID": "mine", "X-Forwarded-For": "192.0.2.7"}
        request = urllib.request.Request(f"{address}/model", headers=headers)
        urllib.request.urlopen(request, timeout=10).close()
        server.send_signal(signal.SIGTERM)
        log += rest(server)
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[0]["message"] == "unknown setting SRCID_POTR, ignored: did you mean SRCID_PORT?"
    (start,) = [line for line in lines if line["message"].startswith("running on ")]
    assert (start["checkpoint"], start["device"], start["items"]) == (
        str(tiny_checkpoint),
        "cpu",
        0,
    )
    assert start["version"] == version("srcid")
    (answered,) = [line for line in lines if line.get("route") == "/model"]
    assert (answered["status"], answered["request_id"]) == (200, "mine")
    assert answered["client"] == "192.0.2.7"  # as a proxy on this machine says
    assert "/model HTTP" not in log  # uvicorn says nothing of its own


def test_a_body_that_is_too_large_is_told_to_a_client_that_sends_first(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--port", 0, "--data-dir", tmp_path, "--checkpoint", tiny_checkpoint)
    with started(*options, SRCID_MAX_UPLOAD_BYTES="3000000") as server:
        address, _ = running(server)
        for body in (b"x" * 5_000_000, iter([b"x" * 500_000] * 10)):  # the latter in chunks
            json_body = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{address}/encode", body, json_body, method="POST")
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            with refused.value as answer:
                assert answer.code == 413
                assert json.load(answer)["type"] == "urn:srcid:too-large"
