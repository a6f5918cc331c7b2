"""Jobs as files: what was answered survives a power failure."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from app.indexing.jobs import IndexJobs
from app.indexing.media_root import MediaRoot
from app.schemas.jobs import IndexRequest, Job


def test_a_job_is_on_disk_before_it_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []  # the content of files, and folders
    contents: list[bytes] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(path)
        contents.append(path.read_bytes() if path.is_file() else b"")

    monkeypatch.setattr(os, "fsync", fsync)
    jobs = IndexJobs(cast(Any, None), tmp_path / "jobs", root=MediaRoot(tmp_path))
    job = jobs.submit(IndexRequest(folder=""))
    (file,) = (tmp_path / "jobs").iterdir()
    assert Job.model_validate_json(file.read_bytes()) == job
    assert file.read_bytes() in contents
    assert synced[-1] == tmp_path / "jobs"
