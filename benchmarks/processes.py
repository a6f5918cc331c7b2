"""A server as a process tree: started, and its processor time and memory read from /proc."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

import httpx2

TICKS = os.sysconf("SC_CLK_TCK")
LISTEN = "0A"  # state of a socket in /proc/net/tcp


class Server(NamedTuple):
    """A server that runs."""

    url: str
    pid: int
    alive_seconds: float  # until /livez answered
    ready_seconds: float  # until requests were served

    @property
    def num_listening(self) -> int:
        """How many processes take connections, each by a socket of its own."""
        port = f":{httpx2.URL(self.url).port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(port) and row[3] == LISTEN for row in rows)

    @property
    def processor_seconds(self) -> float:
        """Of it and all that it has started, whether they still run or not."""
        return sum(_processor_seconds(pid) for pid in _tree(self.pid))

    @property
    def peak_bytes(self) -> int:
        """The most memory that its processes have had, each at its own time, added up."""
        return sum(_status(pid, "VmHWM") for pid in _tree(self.pid))

    @property
    def resident_bytes(self) -> int:
        """The memory that its processes have now."""
        return sum(_status(pid, "VmRSS") for pid in _tree(self.pid))


@contextmanager
def naive() -> Iterator[Server]:
    """Run the naive peer."""
    with _running("benchmarks.naive_service", {}) as server:
        yield server


@contextmanager
def served(*, workers: int = 1, **settings: object) -> Iterator[Server]:
    """Run ``srcid serve`` on an index of its own, once all its processes take connections."""
    with TemporaryDirectory() as folder:
        given = {"data_dir": folder, "log_format": "text", "workers": workers, **settings}
        environment = {f"SRCID_{name.upper()}": str(value) for name, value in given.items()}
        with _running("app", environment, "serve") as server:
            while server.num_listening < workers:  # one after the other
                time.sleep(0.1)
            yield server


@contextmanager
def _running(module: str, environment: dict[str, str], *arguments: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    started = time.perf_counter()
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as process,
    ):
        try:
            seconds = []
            for path in ("livez", "readyz"):
                while not _answers(f"{url}/{path}"):
                    if process.poll() is not None:
                        log.seek(0)
                        raise RuntimeError(f"{' '.join(command)} ended:\n{log.read()}")
                    time.sleep(0.01)
                seconds.append(time.perf_counter() - started)
            yield Server(url, process.pid, *seconds)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


class Others:
    """What processes that are not of this benchmark take of the processors meanwhile."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds = _others_seconds()

    @property
    def processors(self) -> float:
        """How many processors they have taken since this was made."""
        return (_others_seconds() - self._seconds) / (time.perf_counter() - self._began)


def _others_seconds() -> float:
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, fields[:8])
    own = sum(_processor_seconds(pid) for pid in _tree(os.getpid()))
    return (user + nice + system + irq + softirq + stolen) / TICKS - own


def _tree(pid: int) -> list[int]:
    """Return the process and all below it."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except FileNotFoundError:
        return []
    below = [int(child) for children in lists for child in children.split()]
    return [pid, *(one for child in below for one in _tree(child))]


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS  # of it, and of its children that have ended


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def proportional_bytes(pid: int) -> int:
    """Return the memory that a process and all below it have now; what they share counts once."""
    found = 0
    for own in _tree(pid):
        try:
            lines = Path(f"/proc/{own}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        found += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return found * 1024
