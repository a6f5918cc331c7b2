"""`srcid demo` as a user meets it, on a machine without apt and curl: a process, its output."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

SRCID = Path(sys.executable).with_name("srcid")
START_SECONDS = 120  # generous: about ten where nothing else runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demo runs; an empty folder is its PATH."""
    (tmp_path / "bin").mkdir()
    return tmp_path


@contextmanager
def demo(folder: Path, checkpoint: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start the demo; yield it, once its address is printed, with its output."""
    command = [str(SRCID), "demo", "--port", str(port), "--checkpoint", str(checkpoint)]
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, text=True, env=_environment(folder)
        )
    try:
        for _ in range(START_SECONDS * 10):
            if "Press Ctrl-C to stop" in output.read_text() or process.poll() is not None:
                break
            time.sleep(0.1)
        yield process, output
    finally:
        process.kill()
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": str(folder / "bin"), "OMP_NUM_THREADS": "1"}


def test_the_demo_serves_what_it_says_and_ends_cleanly(folder: Path, tiny_checkpoint: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(folder, tiny_checkpoint, port) as (process, output):
            said = output.read_text()
            assert "no apt-get" in said
            assert "drawn here" in said
            assert f"port {port} is in use" in said
            found = re.search(r"Open (http://127\.0\.0\.1:\d+)", said)
            assert found, said
            model = httpx2.get(f"{found[1]}/model").json()
            assert (model["num_items"], model["keeps_media"]) == (24, True)
            commands = re.findall(r"^  (\S.*)$", said, re.MULTILINE)
            assert len(commands) == 3
            for command in commands:
                assert run(command, folder), command
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert "stopped" in output.read_text()
    with demo(folder, tiny_checkpoint, port) as (process, output):
        said = output.read_text()
        assert "in a browser" in said
        assert "drawing" not in said  # nor is anything indexed again
        assert "indexing" not in said


def run(command: str, folder: Path) -> list[object]:
    """Run one of the printed commands, asking for JSON; return its hits or streams."""
    done = subprocess.run(
        [*shlex.split(command), "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=_environment(folder),
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return list(answer.get("hits") or answer["streams"])
