"""The real server as a process, on a socket, and what it and its workers take."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

WAIT = 60  # seconds: far more than anything in these tests takes
PROJECT = Path(__file__).parents[1]


class Server(NamedTuple):
    """A server that listens."""

    process: "subprocess.Popen[bytes]"
    address: str
    log: Path


@contextmanager
def serving(checkpoint: Path, data_dir: Path, **settings: object) -> Iterator[Server]:
    """Run ``srcid serve``; kill it at the end, or after two minutes."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    command += ["--checkpoint", str(checkpoint), "--data-dir", str(data_dir)]
    environment = {f"SRCID_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    environment |= {name: own for name, own in os.environ.items() if name.startswith("HF_")}
    # A file, not a pipe: a server that nobody reads from must not stop at a full one.
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=PROJECT
        )
        watchdog = threading.Timer(2 * WAIT, process.kill)
        watchdog.start()
        try:
            yield Server(process, _address(process, Path(log.name)), Path(log.name))
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None  # asked before reading: then the log is whole
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        if has_ended:
            break
        time.sleep(0.02)
    ending = "still starts" if process.returncode is None else f"exit code {process.returncode}"
    memory = Path("/proc/meminfo").read_text().splitlines()[2]
    raise AssertionError(
        f"the server is not there: {ending}, load {os.getloadavg()[0]:.1f}, {memory}; its log:\n"
        f"{log.read_text() or '(empty)'}"
    )


def children_of(pid: int) -> list[int]:
    """Return the processes that any thread of a process has started, the oldest first."""
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return sorted(int(child) for children in lists for child in children)


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
