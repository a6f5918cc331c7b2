"""The real server as a process, over a real socket: found by a sentence, also after kill -9."""

import csv
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.demo.compose import write_still
from app.demo.drawn import DRAWINGS, write_drawing

START_SECONDS = 120  # generous: loading takes about five where nothing else runs
SENTENCES = {
    "dog": "a dog barks",
    "rain": "heavy rain pours down",
    "piano": "someone plays a piano",
}


@contextmanager
def serving(data_dir: Path) -> Iterator[httpx2.Client]:
    """Start `srcid serve` with the shipped checkpoint; end it by kill -9, as a crash would."""
    options = ["--port", "0", "--checkpoint", "compact", "--data-dir", str(data_dir)]
    command = [sys.executable, "-m", "app", "serve", *options]
    log = data_dir.parent / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        with httpx2.Client(base_url=_address(process, log), timeout=60) as client:
            assert client.get("/readyz").status_code == 200
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(START_SECONDS * 10):
        if found := re.search(r"running on .*?127\.0\.0\.1\D+(\d+)", log.read_text()):
            return f"http://127.0.0.1:{found[1]}"
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def upload(client: httpx2.Client, clip: Path) -> None:
    fields = {"id": clip.stem, "metadata": '{"made": "by a test"}'}
    answer = client.post("/items", data=fields, files={"file": clip.read_bytes()})
    assert answer.status_code == 201, answer.text
    assert set(answer.json()["streams"]) == {"audio", "video"}


def find(client: httpx2.Client, sentence: str) -> list[dict[str, Any]]:
    answer = client.post("/search", json={"text": sentence, "k": 50})
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, Any]] = answer.json()["hits"]
    return hits


@pytest.mark.shared
def test_real_clips_are_found_by_a_sentence_also_after_a_crash(
    shared: Path, tmp_path: Path
) -> None:
    clips = demo12_clips(shared / "data/demo12", tmp_path)
    with serving(tmp_path / "data") as client:
        for clip in clips:
            upload(client, clip)
        before = {name: find(client, sentence) for name, sentence in SENTENCES.items()}
    with serving(tmp_path / "data") as client:
        after = {name: find(client, sentence) for name, sentence in SENTENCES.items()}
    assert {name: hits[0]["id"] for name, hits in before.items()} == {n: n for n in SENTENCES}
    assert after == before


def test_drawn_clips_are_found_by_a_sentence_also_after_a_crash(tmp_path: Path) -> None:
    clips = [tmp_path / f"{drawing.name}.mp4" for drawing in DRAWINGS[:2]]
    for clip, drawing in zip(clips, DRAWINGS, strict=False):
        write_drawing(clip, drawing)
    with serving(tmp_path / "data") as client:
        for clip in clips:
            upload(client, clip)
        before = find(client, DRAWINGS[0].sentence)
        for clip in clips:  # nothing is nearer to a file than what was made of it
            found = client.post("/search", files={"file": clip.read_bytes()}, data={"k": "50"})
            hits = found.json()["hits"]
            own = [hit["score"] for hit in hits if hit["id"] == clip.stem]
            assert hits[0]["score"] == max(own) > 0.99
            assert min(hit["score"] for hit in hits) < 0.99
    with serving(tmp_path / "data") as client:
        after = find(client, DRAWINGS[0].sentence)
    streams = {(clip.stem, modality) for clip in clips for modality in ("audio", "video")}
    assert {(hit["id"], hit["modality"]) for hit in before} == streams
    assert before[0]["metadata"] == {"made": "by a test"}
    assert after == before


def demo12_clips(data: Path, folder: Path) -> list[Path]:
    """Compose a clip for each class from the first photo and sound of its test split."""
    with (data / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    first = {(row["class"], row["modality"]): data / row["id"] for row in reversed(rows)}
    clips = []
    for name in sorted({row["class"] for row in rows}):
        clips.append(folder / f"{name}.mp4")
        write_still(clips[-1], picture=first[name, "image"], sound=first[name, "audio"])
    return clips
