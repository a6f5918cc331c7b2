"""The real server as a process: stopped under load, overloaded, and left by its clients."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.media_maker import colours, make_video, tone
from tests.running_server import WAIT, children_of, serving


@pytest.fixture(scope="module")
def slow_clip() -> bytes:
    """A clip that takes a few tenths of a second to decode."""
    return make_video(colours(6, fps=25, size=(240, 320)), fps=25, audio=tone(6))


def test_sigterm_turns_ready_off_and_lets_what_is_in_flight_finish(
    tiny_checkpoint: Path, tmp_path: Path, slow_clip: bytes
) -> None:
    data = tmp_path / "data"
    with serving(tiny_checkpoint, data, drain_seconds=1, max_decodes=1) as (process, address, _log):

        def add(number: int) -> int:
            fields = {"id": f"clip-{number}"}
            with httpx2.Client(base_url=address, timeout=WAIT) as client:
                files = {"file": slow_clip}
                return client.post("/items", data=fields, files=files).status_code

        with (
            ThreadPoolExecutor(8) as pool,
            httpx2.Client(base_url=address, timeout=WAIT) as client,
        ):
            answers = [pool.submit(add, number) for number in range(8)]
            while "srcid_requests_in_flight 9.0" not in client.get("/metrics").text:
                assert not any(answer.done() for answer in answers)
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 2
            while (ready := client.get("/readyz")).status_code == 200:
                assert time.monotonic() < deadline
            assert (ready.status_code, ready.json()["title"]) == (503, "Stopping")
            assert client.get("/livez").status_code == 200
            assert [answer.result() for answer in answers] == [201] * 8
        assert process.wait(WAIT) == 0
    with serving(tiny_checkpoint, data) as (_, address, _log):
        items = httpx2.get(f"{address}/items").json()["items"]
        assert {item["id"] for item in items} == {f"clip-{number}" for number in range(8)}


def test_an_overloaded_server_refuses_at_once_and_stays_alive_and_ready(
    tiny_checkpoint: Path, tmp_path: Path, slow_clip: bytes
) -> None:
    settings = {"max_queue": 2, "max_decodes": 1}
    with serving(tiny_checkpoint, tmp_path, **settings) as (_, address, _log):

        def encode(_: int) -> tuple[int, float, str]:
            with httpx2.Client(base_url=address, timeout=WAIT) as client:
                started = time.monotonic()
                answer = client.post("/encode", files={"file": slow_clip})
                seconds = time.monotonic() - started
                return answer.status_code, seconds, answer.headers.get("Retry-After", "")

        with (
            ThreadPoolExecutor(24) as pool,
            httpx2.Client(base_url=address, timeout=WAIT) as client,
        ):
            answers = [pool.submit(encode, number) for number in range(24)]
            while not all(answer.done() for answer in answers):
                for path in ("/livez", "/readyz"):
                    assert client.get(path).status_code == 200
            assert client.post("/encode", json={"text": "a dog"}).status_code == 200
        results = [answer.result() for answer in answers]
    assert {status for status, _, _ in results} == {200, 503}
    refused = [(seconds, wait) for status, seconds, wait in results if status == 503]
    served = [seconds for status, seconds, _ in results if status == 200]
    assert len(served) >= 2
    assert all(int(wait) >= 1 for _, wait in refused)
    assert sorted(seconds for seconds, _ in refused)[len(refused) // 2] < max(served)


def test_the_work_of_clients_that_have_gone_is_dropped(
    tiny_checkpoint: Path, tmp_path: Path, slow_clip: bytes
) -> None:
    with serving(tiny_checkpoint, tmp_path, max_decodes=1) as (_, address, _log):
        host, port = address.removeprefix("http://").split(":")
        head = (
            f"POST /encode HTTP/1.1\r\nHost: {host}\r\nContent-Type: video/mp4\r\n"
            f"Content-Length: {len(slow_clip)}\r\n\r\n"
        ).encode()
        gone = [socket.create_connection((host, int(port))) for _ in range(16)]
        for connection in gone:
            connection.sendall(head + slow_clip)
        with httpx2.Client(base_url=address, timeout=WAIT) as client:
            while "srcid_requests_in_flight 17.0" not in client.get("/metrics").text:
                pass
            for connection in gone:
                connection.close()
            answer = client.post("/encode", json={"text": "a dog"})
            assert answer.status_code == 200
            while "srcid_requests_in_flight 1.0" not in client.get("/metrics").text:
                pass
            assert client.post("/encode", files={"file": slow_clip}).status_code == 200
            decoded = re.search(r"srcid_decode_seconds_count (\d+)", client.get("/metrics").text)
    assert decoded is not None
    assert 1 <= int(decoded[1]) < 8


def test_a_server_that_is_killed_leaves_no_worker_behind(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    with serving(tiny_checkpoint, tmp_path, max_decodes=2) as (process, _, _log):
        children = children_of(process.pid)
        assert len(children) == 2
        process.kill()
        process.wait()
        deadline = time.monotonic() + WAIT
        while any(is_running(pid) for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_decode_workers_that_are_killed_under_load_cost_only_their_files(
    tiny_checkpoint: Path, tmp_path: Path, slow_clip: bytes
) -> None:
    with serving(tiny_checkpoint, tmp_path, max_decodes=2) as (process, address, _log):

        def encode(_: int) -> int:
            with httpx2.Client(base_url=address, timeout=WAIT) as client:
                return client.post("/encode", files={"file": slow_clip}).status_code

        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(encode, number) for number in range(12)]
            kills = 0
            while not all(answer.done() for answer in answers):
                done = sum(answer.done() for answer in answers)
                if kills < 3 and done >= 2 * kills + 1:
                    os.kill(children_of(process.pid)[0], signal.SIGKILL)
                    kills += 1
        statuses = [answer.result() for answer in answers]
        assert set(statuses) <= {200, 422}
        assert statuses.count(422) <= 1  # only a file that loses two workers is refused
        assert encode(0) == 200
        assert json.loads(httpx2.get(f"{address}/readyz").text)["status"] == "ready"
