"""/jobs: progress, failures, cancelling, resuming, and nothing outside the media root."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.routes.jobs import _events
from app.indexing.bulk import BulkIndex
from app.indexing.jobs import IndexJobs
from app.indexing.run import FileToIndex
from app.main import create_app
from app.schemas.jobs import IndexRequest
from app.settings import Settings


@pytest.fixture
def root(tmp_path: Path, sound: bytes) -> Path:
    folder = tmp_path / "root"
    (folder / "farm").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / "farm" / name).write_bytes(sound)
    (folder / "farm" / "d.wav").write_bytes(b"no sound")
    (folder / "other.wav").write_bytes(sound)
    return folder


@pytest.fixture
def jobs(settings: Settings, root: Path) -> Iterator[TestClient]:
    with TestClient(create_app(with_root(settings, root))) as opened:
        yield opened


def with_root(settings: Settings, root: Path) -> Settings:
    return settings.model_copy(update={"media_root": root})


def ended(client: TestClient, job_id: str) -> dict[str, Any]:
    """Wait for a job's last event."""
    deadline = time.monotonic() + 30
    while (job := client.get(f"/jobs/{job_id}").json())["state"] in {"waiting", "running"}:
        assert time.monotonic() < deadline, job  # before the stream, which has no end without one
        time.sleep(0.01)
    with client.stream("GET", f"/jobs/{job_id}/events") as answer:
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]
    last: dict[str, Any] = json.loads(events[-1].removeprefix("data: "))
    return last


def wait_for(client: TestClient, job_id: str, *, indexed: int) -> None:
    deadline = time.monotonic() + 30
    while (job := client.get(f"/jobs/{job_id}").json())["indexed"] < indexed:
        assert time.monotonic() < deadline, job
        time.sleep(0.01)


def hold(
    monkeypatch: pytest.MonkeyPatch, after: int = 0, name: str = ""
) -> tuple[threading.Event, threading.Event]:
    """Hold the encoding of files until the second event is set.

    Args:
        monkeypatch: Undoes it.
        after: How many files are let pass; which ones is up to the threads.
        name: The only file that is held; any by default.
    """
    reached, go_on = threading.Event(), threading.Event()
    encode: Callable[..., Any] = BulkIndex.encode
    count = iter(range(10**6))

    def held(self: BulkIndex, file: FileToIndex, **options: Any) -> Any:
        if file.path.name.startswith(name) and next(count) >= after:
            reached.set()
            go_on.wait(30)
        return encode(self, file, **options)

    monkeypatch.setattr(BulkIndex, "encode", held)
    return reached, go_on


def test_a_folder_is_indexed_and_its_failures_are_told(
    jobs: TestClient, settings: Settings
) -> None:
    started = jobs.post("/jobs/index", json={"folder": "farm", "metadata": {"album": "x"}})
    assert started.status_code == 202
    job = ended(jobs, started.json()["id"])
    assert job["state"] == "finished"
    assert (job["total"], job["indexed"], job["unchanged"], job["failed"]) == (4, 3, 0, 1)
    assert [failure["path"] for failure in job["failures"]] == ["farm/d.wav"]
    assert job["seconds_left"] == 0
    report = settings.data_dir / "jobs" / f"{job['id']}.failures.jsonl"
    assert [json.loads(line)["path"] for line in report.read_text().splitlines()] == ["farm/d.wav"]
    item = jobs.get("/items/farm%2Fa.wav").json()
    assert item["metadata"] == {"album": "x", "path": "farm/a.wav"}
    assert jobs.get(f"/jobs/{job['id']}").json() == job
    again = ended(jobs, jobs.post("/jobs/index", json={}).json()["id"])
    assert (again["indexed"], again["unchanged"], again["failed"]) == (1, 3, 1)
    assert [own["id"] for own in jobs.get("/jobs").json()["jobs"]] == [again["id"], job["id"]]


def test_a_manifest_is_indexed(jobs: TestClient, root: Path) -> None:
    (root / "farm" / "list.csv").write_text("path,id\na.wav,one\n../other.wav,two\n")
    started = jobs.post("/jobs/index", json={"manifest": "farm/list.csv"}).json()
    job = ended(jobs, started["id"])
    assert (job["state"], job["indexed"], job["failed"]) == ("finished", 2, 0)
    assert jobs.get("/items/two").json()["metadata"] == {"path": "other.wav"}


def test_a_damaged_manifest_fails_the_job_with_the_reason(jobs: TestClient, root: Path) -> None:
    (root / "list.jsonl").write_text('{"path": "other.wav"}\n{')
    started = jobs.post("/jobs/index", json={"manifest": "list.jsonl"}).json()
    job = ended(jobs, started["id"])
    assert job["state"] == "failed"
    assert "list.jsonl is not a manifest" in job["detail"]


def test_nothing_outside_the_root_is_read(
    jobs: TestClient, root: Path, tmp_path: Path, sound: bytes
) -> None:
    (tmp_path / "secret.wav").write_bytes(sound)
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "e.wav").write_bytes(sound)
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (root / "folder").symlink_to(tmp_path / "away")
    (root / "list.csv").write_text(f"path\n../secret.wav\n{tmp_path}/secret.wav\nlink.wav\n")
    for body in (
        {"folder": ".."},
        {"folder": "folder"},
        {"folder": str(tmp_path)},
        {"folder": "x"},
    ):
        answer = jobs.post("/jobs/index", json=body)
        assert answer.status_code == 422, body
        assert "below the media root" in answer.json()["detail"]
    for body in ({"folder": ""}, {"manifest": "list.csv"}):
        job = ended(jobs, jobs.post("/jobs/index", json=body).json()["id"])
        details = {failure["path"]: failure["detail"] for failure in job["failures"]}
        assert details["link.wav"] == "there is no such file below the media root"
    assert job["failed"] == 3
    items = jobs.get("/items").json()["items"]
    assert {item["id"] for item in items} == {"other.wav", *(f"farm/{n}.wav" for n in "abc")}


def test_without_a_media_root_there_are_no_jobs(client: TestClient) -> None:
    answer = client.post("/jobs/index", json={})
    assert answer.status_code == 422
    assert "SRCID_MEDIA_ROOT" in answer.json()["detail"]
    assert client.get("/jobs").json() == {"jobs": []}


def test_a_job_that_runs_is_cancelled_between_files(
    jobs: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = hold(monkeypatch, after=1)
    job_id = jobs.post("/jobs/index", json={"folder": "farm"}).json()["id"]
    waiting = jobs.post("/jobs/index", json={"folder": ""}).json()["id"]
    assert reached.wait(30)
    assert jobs.delete(f"/jobs/{waiting}").json()["state"] == "cancelled"
    assert jobs.delete(f"/jobs/{job_id}").json()["state"] == "running"
    go_on.set()
    job = ended(jobs, job_id)
    assert job["state"] == "cancelled"
    assert job["indexed"] == len(jobs.get("/items").json()["items"])
    assert ended(jobs, waiting)["started"] is None
    assert jobs.delete(f"/jobs/{job_id}").status_code == 200  # now it is forgotten
    assert jobs.get(f"/jobs/{job_id}").status_code == 404
    assert jobs.delete("/jobs/ghost").status_code == 404


def test_a_job_resumes_after_a_restart(
    settings: Settings, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        reached, go_on = hold(patch, name="c.wav")
        with TestClient(create_app(with_root(settings, root))) as client:
            job_id = client.post("/jobs/index", json={"folder": "farm"}).json()["id"]
            assert reached.wait(30)
            wait_for(client, job_id, indexed=2)  # a and b, which may still be on their way
            threading.Timer(0.2, go_on.set).start()
        kept = json.loads((settings.data_dir / "jobs" / f"{job_id}.json").read_text())
        assert kept["state"] == "running"
    with TestClient(create_app(with_root(settings, root))) as client:
        job = ended(client, job_id)
        assert job["state"] == "finished"
        assert job["unchanged"] >= 2
        assert job["unchanged"] + job["indexed"] == 3
    with TestClient(create_app(with_root(settings, root))) as client:
        assert client.get(f"/jobs/{job_id}").json() == job


def test_a_damaged_record_of_a_job_is_left_alone(settings: Settings, root: Path) -> None:
    (settings.data_dir / "jobs").mkdir(parents=True)
    (settings.data_dir / "jobs" / "x.json").write_text("{")
    with TestClient(create_app(with_root(settings, root))) as client:
        assert client.get("/jobs").json() == {"jobs": []}


def test_a_job_reports_while_it_runs(jobs: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = hold(monkeypatch, after=2)
    job_id = jobs.post("/jobs/index", json={"folder": "farm"}).json()["id"]
    assert reached.wait(30)
    deadline = time.monotonic() + 30
    while (job := jobs.get(f"/jobs/{job_id}").json())["total"] is None:
        assert time.monotonic() < deadline
    assert (job["state"], job["total"]) == ("running", 4)
    go_on.set()
    assert ended(jobs, job_id)["state"] == "finished"


def test_a_job_that_breaks_down_does_not_end_the_others(
    jobs: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: IndexJobs, request: IndexRequest) -> Iterator[FileToIndex]:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(IndexJobs, "_files", broken)
        job = ended(jobs, jobs.post("/jobs/index", json={"folder": "farm"}).json()["id"])
    assert (job["state"], job["detail"]) == ("failed", "the service failed; see its log")
    job = ended(jobs, jobs.post("/jobs/index", json={"folder": "farm"}).json()["id"])
    assert (job["state"], job["indexed"]) == ("finished", 3)


def test_only_so_many_jobs_wait(jobs: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.indexing.jobs.MAX_WAITING", 2)
    reached, go_on = hold(monkeypatch)
    first, second = (jobs.post("/jobs/index", json={}).json()["id"] for _ in range(2))
    assert reached.wait(30)
    refused = jobs.post("/jobs/index", json={})
    assert refused.status_code == 503
    assert "2 jobs are queued already" in refused.json()["detail"]
    go_on.set()
    assert {ended(jobs, own)["state"] for own in (first, second)} == {"finished"}
    assert jobs.post("/jobs/index", json={}).status_code == 202


def test_who_follows_a_job_hears_that_it_is_there_and_no_more_when_it_is_forgotten(
    jobs: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.routes.jobs.HEARTBEAT_SECONDS", 0)
    reached, go_on = hold(monkeypatch)
    job_id = jobs.post("/jobs/index", json={"folder": "farm"}).json()["id"]
    assert reached.wait(30)
    kept: IndexJobs = jobs.app.state.jobs

    async def followed() -> list[str]:
        events = _events(jobs.app.state.service, kept, job_id)
        while not (line := await anext(events)).startswith(":"):
            assert json.loads(line.removeprefix("data: "))["id"] == job_id
        go_on.set()
        while not kept.get(job_id).state.is_final:
            await asyncio.sleep(0.01)
        kept.cancel(job_id)  # which forgets what is over
        return [line async for line in events]

    assert asyncio.run(followed()) == []
