"""``srcid serve``: as a process, over a real socket."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.app.cli.running import Run


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``srcid serve``; kill it at the end, or after a minute, so that no test can hang."""
    command = [sys.executable, "-m", "app", "serve", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        watchdog = threading.Timer(60, server.kill)
        watchdog.start()
        try:
            yield server
        finally:
            watchdog.cancel()
            server.kill()


def test_the_server_says_where_it_is_answers_and_stops_with_exit_code_0(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--port", 0, "--data-dir", tmp_path, "--checkpoint", tiny_checkpoint)
    with started(*options) as server:
        assert server.stdout is not None
        log = ""
        while not (address := re.search(r"running on (http://127\.0\.0\.1:\d+)", log)):
            line = server.stdout.readline()
            assert line, log
            log += line
        with urllib.request.urlopen(f"{address[1]}/readyz", timeout=10) as answer:
            assert json.load(answer) == {"status": "ready"}
        server.send_signal(signal.SIGTERM)
        log += server.stdout.read()
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
