"""Ray indexes what the engine of this machine does, and goes on where it was killed."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.indexing import on_ray
from app.indexing.bulk import BulkIndex
from app.indexing.on_ray import index_on_ray
from app.indexing.run import Outcome, files_below, files_of_manifest, index_files
from app.settings import Settings
from app.store.base import Item
from app.store.data_folder import reading
from model.errors import ConfigError
from tests.app.indexing.opened import opened_index
from tests.media_maker import colours, make_picture, make_sound, make_video, tone
from tests.running_server import children_of

PROJECT = Path(__file__).parents[2]
SECONDS = 300  # far more than a run takes
MAX_STEPS = 4


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "deep").mkdir(parents=True)
    (folder / "broken.mp4").write_bytes(b"no media at all")
    (folder / "clip.mp4").write_bytes(make_video(colours(3), audio=tone(3)))
    (folder / "deep" / "long.wav").write_bytes(make_sound(tone(13, rate=16_000), rate=16_000))
    (folder / "deep" / "sound.wav").write_bytes(make_sound(tone(2.5, rate=16_000), rate=16_000))
    (folder / "photo.png").write_bytes(make_picture(np.full((40, 60, 3), 90, np.uint8)))
    return folder


def without_ray(rows: list[dict[str, Any]], settings: Settings) -> Iterator[on_ray._Stretch]:
    """Both stages in this process; what comes out is in no order, as on a cluster."""
    pickled = pickle.dumps(settings)
    decoders = on_ray._Decoders(pickled)
    encoders = on_ray._Encoders(pickled, False)
    batches = [{name: [value] for name, value in row.items()} for row in rows]
    stretches = [stretch for batch in batches for stretch in decoders(batch)]
    random.Random(1).shuffle(stretches)
    for stretch in stretches:
        yield from (pickle.loads(data) for data in encoders(stretch)["stretch"])


def indexed(settings: Settings, folder: Path, *, by: str) -> tuple[list[Outcome], list[Item]]:
    """Index a folder, or a manifest; return what became of its files, and the items."""
    own = settings.model_copy(
        update={"max_steps": MAX_STEPS, "data_dir": settings.data_dir.parent / by}
    )
    with opened_index(own) as index:
        bulk = index.bulk
        files = files_below(folder) if folder.is_dir() else files_of_manifest(folder)
        outcomes = (
            index_files(bulk, files, workers=2, stop=threading.Event())
            if by == "threads"
            else index_on_ray(bulk, files, settings=own)
        )
        return list(outcomes), index.store.page(after="", limit=100)


def flat(items: list[Item]) -> list[tuple[object, ...]]:
    return [
        (
            item.id,
            item.sha256,
            dict(item.metadata),
            {m: (own.codes.tolist(), own.duration_seconds) for m, own in item.streams.items()},
        )
        for item in items
    ]


def test_stretches_in_any_order_become_what_this_machine_makes(
    settings: Settings, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "_stretches", without_ray)
    outcomes, items = indexed(settings, media, by="threads")
    assert [outcome.kind for outcome in outcomes] == ["failed", "indexed"] + 3 * ["indexed"]
    found, found_items = indexed(settings, media, by="ray")
    assert found == outcomes
    assert flat(found_items) == flat(items)
    assert len(items) > 4  # the long sound is several

    (media / "clip.mp4").write_bytes(make_video(colours(2), audio=tone(2)))
    again, _ = indexed(settings, media, by="ray")
    kinds = ["failed", "indexed", "unchanged", "unchanged", "unchanged"]
    assert [outcome.kind for outcome in again] == kinds


def test_what_fails_fails_alone_and_for_the_reasons_that_this_machine_gives(
    settings: Settings, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that comes twice, metadata that are too much, and a sound damaged in its middle."""
    film = bytearray(make_sound(tone(47, 16_000), 16_000, "mp4"))
    start, end = len(film) * 21 // 47, len(film) * 41 // 47
    film[start:end] = bytes(end - start)
    (media / "film.m4a").write_bytes(film)
    heavy = "x" * settings.max_metadata_bytes
    manifest = media / "list.csv"
    manifest.write_text(
        f"path,id,note\nclip.mp4,same,\nphoto.png,same,\nphoto.png,heavy,{heavy}\nfilm.m4a,film,\n"
    )
    monkeypatch.setattr(on_ray, "_stretches", without_ray)
    outcomes, items = indexed(settings, manifest, by="threads")
    found, found_items = indexed(settings, manifest, by="ray")
    assert found == outcomes
    assert flat(found_items) == flat(items)
    kinds = [outcome.kind for outcome in found]
    assert kinds == ["indexed", "failed", "failed", "indexed"]
    details = ["", "another file", "metadata", "without seconds"]
    for outcome, detail in zip(found, details, strict=True):
        assert detail in outcome.detail


def test_files_are_committed_in_groups_and_told_in_their_order(
    settings: Settings, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []

    def counting(bulk: BulkIndex, encoded: list[Any]) -> None:
        groups.append(len(encoded))
        keep(bulk, encoded)

    keep = BulkIndex.keep
    monkeypatch.setattr(BulkIndex, "keep", counting)
    monkeypatch.setattr(on_ray, "_stretches", without_ray)
    monkeypatch.setattr(on_ray, "MAX_COMMIT", 2)
    monkeypatch.setattr(on_ray, "COMMIT_SECONDS", 1e9)
    outcomes, _ = indexed(settings, media, by="ray")
    assert [outcome.file for outcome in outcomes] == list(files_below(media))
    assert sum(groups) == 4
    assert max(groups) <= 2


def test_where_ray_is_missing_it_is_named(
    settings: Settings, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'srcid\[ray\]'"):
        indexed(settings, media, by="ray")


def index(folder: Path, data_dir: Path, checkpoint: Path, engine: str) -> "subprocess.Popen[str]":
    options = ["--engine", engine, "--json", "--data-dir", str(data_dir)]
    options += ["--checkpoint", str(checkpoint), "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "app", "index", str(folder), *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=os.environ | {"SRCID_MAX_STEPS": str(MAX_STEPS), "SRCID_MAX_DECODES": "1"},
        start_new_session=True,
    )


def report_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate(timeout=SECONDS)
    return dict(json.loads(out))


def contents(data_dir: Path) -> list[tuple[object, ...]]:
    with reading(data_dir) as found:
        return flat(list(found.items))


def kill_all(pid: int) -> None:
    """End a process and all that it has started, as a machine does that goes down."""
    for child in children_of(pid):
        kill_all(child)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_ray_and_this_machine_index_the_same(
    tiny_checkpoint: Path, media: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs pip install 'srcid[ray]'")
    reports = [
        report_of(index(media, tmp_path / engine, tiny_checkpoint, engine))
        for engine in ("local", "ray")
    ]
    assert reports[0] == reports[1]
    assert len(reports[1]["indexed"]) == 4
    assert list(reports[1]["failed"]) == ["broken.mp4"]
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "ray")) > 4  # the long sound is several items


@pytest.mark.slow
def test_a_killed_run_goes_on_with_what_is_not_indexed(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs pip install 'srcid[ray]'")
    folder, data_dir, count = tmp_path / "media", tmp_path / "data", 60
    folder.mkdir()
    for number in range(count):
        sound = make_sound(tone(2 + number / 30, rate=16_000), rate=16_000)
        (folder / f"{number:02}.wav").write_bytes(sound)
    killed = index(folder, data_dir, tiny_checkpoint, "ray")
    kept = 0
    while not kept > 0:
        assert killed.poll() is None, "it ended before it was killed"
        time.sleep(0.2)
        if (data_dir / "items.sqlite3").exists():
            kept = len(contents(data_dir))
    kill_all(killed.pid)
    assert killed.stdout
    killed.stdout.close()
    killed.wait()
    kept = len(contents(data_dir))
    assert kept < count
    report = report_of(index(folder, data_dir, tiny_checkpoint, "ray"))
    assert len(report["unchanged"]) == kept
    assert len(report["indexed"]) == count - kept
    local = tmp_path / "local"
    report_of(index(folder, local, tiny_checkpoint, "local"))
    assert contents(data_dir) == contents(local)
