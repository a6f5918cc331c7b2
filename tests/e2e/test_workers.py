"""``srcid serve --workers``: several processes on one index, which no reader sees half."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.running_server import Server, children_of, serving

WORKERS = 3
WRITERS, ROUNDS = 4, 12
WAIT = 60  # seconds: far more than anything takes


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    root = folder / "root"
    root.mkdir()
    limits = {"max_decodes": 1, "network_threads": 1, "media_root": root}
    with serving(tiny_checkpoint, folder / "data", workers=WORKERS, **limits) as opened:
        yield opened
        opened.process.send_signal(signal.SIGTERM)
        assert opened.process.wait(WAIT) == 0, opened.log.read_text()


def workers_of(server: Server) -> list[int]:
    """Return the processes that serve; a helper of multiprocessing is none."""
    found = []
    for pid in children_of(server.process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_text()
        if "spawn_main" in command:
            found.append(pid)
    return found


def put(url: str, item_id: str, version: int) -> None:
    body = {"text": f"{item_id} {'again ' * version}", "metadata": {"version": version}}
    answer = httpx2.put(f"{url}/items/{item_id}", json=body, timeout=WAIT)
    assert answer.status_code in {200, 201}, answer.text


def test_every_process_sees_each_change_whole_as_soon_as_it_is_answered(server: Server) -> None:
    """Each request opens a connection of its own, so that any process may get it."""
    url = server.address
    done = threading.Event()

    def write(number: int) -> None:
        item_id = f"item-{number}"
        for version in range(1, ROUNDS + 1):
            put(url, item_id, version)
            for _ in range(WORKERS):
                item = httpx2.get(f"{url}/items/{item_id}", timeout=WAIT).json()
                assert item["metadata"]["version"] == version  # nobody else writes this one

    def look() -> int:
        seen = 0
        while not done.is_set():
            body = {"text": "item again", "k": 50}
            answer = httpx2.post(f"{url}/search", json=body, timeout=WAIT)
            assert answer.status_code == 200, answer.text
            for hit in answer.json()["hits"]:
                words = hit["text"].split()
                assert (hit["id"], hit["metadata"]["version"]) == (words[0], len(words) - 1)
                seen += 1
        return seen

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        writes = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            for one in writes:
                one.result()
        finally:
            done.set()
        assert sum(one.result() for one in looks) > 0
    items = httpx2.get(f"{url}/items").json()["items"]
    versions = {item["id"]: item["metadata"]["version"] for item in items}
    assert [versions[f"item-{number}"] for number in range(WRITERS)] == [ROUNDS] * WRITERS


def test_errors_and_jobs_come_back_from_the_process_that_writes(server: Server) -> None:
    url = server.address
    put(url, "taken", 1)
    for _ in range(2 * WORKERS):
        answer = httpx2.post(f"{url}/items", json={"id": "taken", "text": "a dog"}, timeout=WAIT)
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
    started = httpx2.post(f"{url}/jobs/index", json={}, timeout=WAIT)
    assert started.status_code == 202
    for _ in range(2 * WORKERS):
        assert httpx2.get(f"{url}/jobs/{started.json()['id']}").status_code == 200
    with httpx2.stream("GET", f"{url}/jobs/{started.json()['id']}/events", timeout=WAIT) as events:
        assert any("finished" in line for line in events.iter_lines())


def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost(server: Server) -> None:
    url = server.address
    put(url, "kept", 1)
    victims = workers_of(server)
    assert len(victims) == WORKERS
    for pid in victims:  # the one that writes among them
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + WAIT
    while not _answers(url) or len(set(workers_of(server)) - set(victims)) < WORKERS:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)
    assert httpx2.get(f"{url}/items/kept").json()["metadata"]["version"] == 1
    put(url, "kept", 2)
    assert httpx2.get(f"{url}/items/kept").json()["metadata"]["version"] == 2


def test_workers_end_with_a_parent_that_is_killed(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with serving(tiny_checkpoint, tmp_path, workers=2, max_decodes=1) as server:
        children = workers_of(server)
        assert len(children) == 2
        server.process.kill()
        deadline = time.monotonic() + WAIT
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_workers_that_cannot_start_say_why_once(tmp_path: Path) -> None:
    options = ["--workers", "2", "--port", "0", "--checkpoint", "nowhere"]
    command = [sys.executable, "-m", "app", "serve", *options, "--data-dir", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert ran.returncode == 2
    assert ran.stderr.startswith("srcid: no checkpoint 'nowhere'")
    assert ran.stderr.count("\n") == 1


def _answers(url: str) -> bool:
    """Tell whether somebody answers; who does must be able to serve."""
    try:
        answer = httpx2.get(f"{url}/readyz", timeout=WAIT)
    except httpx2.TransportError:
        return False
    assert answer.status_code == 200, answer.text
    return True
