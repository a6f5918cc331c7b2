"""The image: small promises of the container, and the big one, that nothing is lost."""

import json
import time

import httpx2
import pytest

from benchmarks.media import moving_clip
from tests.docker.conftest import IMAGE, Runner, docker

pytestmark = [pytest.mark.docker, pytest.mark.slow]

USER = "10001"
NUM_CLIPS = 60


def test_it_serves_read_only_as_a_user_without_rights(runner: Runner) -> None:
    with runner.serving() as container:
        seconds = container.wait_until_ready()
        size = int(docker("image", "inspect", "--format={{.Size}}", IMAGE))
        print(f"\nimage {size / 1e9:.2f} GB, ready after {seconds:.1f} s")
        assert docker("exec", container.name, "id", "-u").strip() == USER
        for place in ("/opt/srcid/x", "/media/x", "/x"):
            assert "cannot" in _shell(container.name, f"touch {place}")
        clip = moving_clip(3)
        answer = httpx2.post(f"{container.url}/encode", files={"file": clip}, timeout=60)
        assert answer.status_code == 200, answer.text
        streams = answer.json()["streams"]
        assert {m: len(own["codes"][0]) for m, own in streams.items()} == {"audio": 3, "video": 3}
        deadline = time.monotonic() + 60
        while _health(container.name) != "healthy":
            assert time.monotonic() < deadline
            time.sleep(1)


def test_a_folder_is_indexed_without_a_network_and_searched(runner: Runner) -> None:
    for seed in range(3):
        (runner.media / f"{seed}.mp4").write_bytes(moving_clip(2, seed=seed))
    (runner.media / "broken.mp4").write_bytes(b"no media")
    report = runner.index("--report", "/data/failures.jsonl")
    assert report["indexed"] == ["0.mp4", "1.mp4", "2.mp4"]
    lines = (runner.data / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["broken.mp4"]
    with runner.serving() as container:
        container.wait_until_ready()
        search = f"{container.url}/search"
        query = (runner.media / "1.mp4").read_bytes()
        by_file = httpx2.post(search, files={"file": query}, data={"k": "50"}, timeout=60)
        assert {hit["id"] for hit in by_file.json()["hits"]} == {"0.mp4", "1.mp4", "2.mp4"}
        by_item = httpx2.post(search, json={"item": "1.mp4", "k": 50}, timeout=60)
        assert "1.mp4" in [hit["id"] for hit in by_item.json()["hits"] if hit["score"] > 0.999]


def test_a_container_killed_while_it_indexes_has_all_that_it_told(runner: Runner) -> None:
    clips = [moving_clip(2, seed=seed) for seed in range(4)]
    for number in range(NUM_CLIPS):
        (runner.media / f"{number:03}.mp4").write_bytes(clips[number % 4] + bytes([number]))
    with runner.serving() as container:
        container.wait_until_ready()
        started = httpx2.post(f"{container.url}/jobs/index", json={}, timeout=60).json()
        job = f"{container.url}/jobs/{started['id']}"
        deadline = time.monotonic() + 120
        while (told := httpx2.get(job).json()["indexed"]) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        acknowledged = _ids(container.url)
        docker("kill", "--signal=KILL", container.name)
        assert 5 <= told <= len(acknowledged) + NUM_CLIPS
        again = container.start_again()
        seconds = again.wait_until_ready()
        print(f"\nkilled with {told} told and {len(acknowledged)} seen; back in {seconds:.1f} s")
        assert set(acknowledged) <= set(_ids(again.url))
        while (state := httpx2.get(job).json())["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert state["state"] == "finished", state
        assert state["unchanged"] >= len(acknowledged)
        assert len(_ids(again.url)) == NUM_CLIPS


def _ids(url: str) -> list[str]:
    page = httpx2.get(f"{url}/items", params={"limit": 500}, timeout=60).json()
    return [item["id"] for item in page["items"]]


def _health(name: str) -> str:
    return docker("inspect", "--format={{.State.Health.Status}}", name).strip()


def _shell(name: str, command: str) -> str:
    return docker("exec", name, "sh", "-c", f"{command} 2>&1 || true")
