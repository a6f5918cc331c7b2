"""``srcid index`` and ``srcid search`` over what it made."""

import json
import os
from pathlib import Path

import pytest

from app.engine.engine import Encoded, Engine
from app.main import open_service
from app.settings import load_settings
from tests.app.cli.running import Run


@pytest.fixture
def folder(tmp_path: Path, sound: bytes, picture: bytes, clip: bytes) -> Path:
    media = tmp_path / "media"
    (media / "farm" / "old").mkdir(parents=True)
    (media / ".cache").mkdir()
    (media / "a.wav").write_bytes(sound)
    (media / "farm" / "b ü.png").write_bytes(picture)
    (media / "farm" / "old" / "c.mp4").write_bytes(clip)
    (media / ".cache" / "hidden.wav").write_bytes(sound)
    return media


def test_a_folder_is_indexed_and_searched(run: Run, folder: Path) -> None:
    ran = run("index", folder)
    assert (ran.code, ran.out) == (0, "3 indexed, 0 unchanged, 0 not indexed\n")

    found = run("search", "--file", folder / "a.wav", "--target", "audio", "--json").json()
    best = found["hits"][0]
    assert best["score"] == 1.0
    assert best["metadata"]["path"]
    assert {hit["modality"] for hit in found["hits"]} == {"audio"}
    everything = run("search", "a dog", "--json").json()["hits"]
    assert sorted((hit["id"], hit["modality"]) for hit in everything) == [
        ("a.wav", "audio"),
        ("farm/b ü.png", "video"),
        ("farm/old/c.mp4", "audio"),
        ("farm/old/c.mp4", "video"),
    ]


def test_the_table_names_score_kind_second_and_id(run: Run, folder: Path) -> None:
    run("index", folder)
    lines = run("search", "--file", folder / "a.wav", "-k", "2").out.splitlines()
    assert lines[0].split() == ["score", "kind", "second", "id"]
    assert len(lines) == 3
    assert lines[1].startswith("+1.000")


def test_only_what_changed_is_indexed_again(run: Run, folder: Path, picture: bytes) -> None:
    run("index", folder)
    (folder / "a.wav").write_bytes(picture)
    (folder / "new.png").write_bytes(picture)
    report = run("index", folder, "--json").json()
    assert report == {
        "indexed": ["a.wav", "new.png"],
        "unchanged": ["farm/b ü.png", "farm/old/c.mp4"],
        "failed": {},
        "incomplete": {},
    }


def test_what_does_not_decode_is_reported_and_the_rest_is_indexed(
    run: Run, folder: Path, picture: bytes
) -> None:
    (folder / "broken.mp4").write_bytes(b"\x00" * 100)
    (folder / "farm" / "notes.mkv").write_text("hello")
    (folder / "farm:b ü.png").write_bytes(picture)
    os.mkfifo(folder / "a pipe.wav")  # to read it would wait for ever
    (folder / ("x" * 200)).mkdir()
    (folder / ("x" * 200) / ("y" * 100)).write_bytes(picture)
    ran = run("index", folder, "--json")
    assert ran.code == 1
    report = ran.json()
    assert len(report["indexed"]) == 5
    assert report["failed"].keys() == {"broken.mp4", "farm/notes.mkv"}
    told = run("index", folder)
    assert told.code == 1
    assert "not indexed: broken.mp4: " in told.out
    assert "0 indexed, 5 unchanged, 2 not indexed" in told.out


def test_an_item_keeps_the_id_that_an_older_version_gave_it(
    run: Run, folder: Path, picture: bytes, sound: bytes
) -> None:
    with open_service(load_settings()) as service:
        service.add("farm:b ü.png", picture, metadata={"path": "farm/b ü.png"})
        service.add("farm:old:c.mp4", sound, metadata={"path": "another.mp4"})
    report = run("index", folder, "--json").json()
    assert report["unchanged"] == ["farm:b ü.png"]
    assert report["indexed"] == ["a.wav", "farm/old/c.mp4"]
    (folder / "farm" / "b ü.png").write_bytes(sound)
    assert run("index", folder, "--json").json()["indexed"] == ["farm:b ü.png"]


def test_search_works_beside_a_writer_and_index_says_who_writes(run: Run, folder: Path) -> None:
    run("index", folder)
    with open_service(load_settings()):
        assert len(run("search", "a dog", "--json").json()["hits"]) == 4
        ran = run("index", folder)
    assert ran.code == 2
    assert "another process (pid " in ran.err


def test_the_path_of_a_file_searches_by_the_file(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", folder)
    monkeypatch.chdir(folder)
    (folder / "dog").write_text("a bare word is no path")
    best = run("search", "a.wav", "--target", "audio", "--json").json()["hits"][0]
    assert (best["score"], best["id"]) == (1.0, "a.wav")
    assert (
        run("search", "a.wav", "--json").json() == run("search", "--file", "a.wav", "--json").json()
    )
    assert run("search", "dog", "--json").code == 0


def test_searching_nothing_says_how_to_index(run: Run) -> None:
    ran = run("search", "a dog")
    assert ran.code == 2
    assert "srcid index" in ran.err


def test_a_manifest_is_indexed_and_failures_are_reported(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (folder / "list.csv").write_text("path,id,album\na.wav,one,farm\nghost.wav,two,farm\n")
    ran = run("index", folder / "list.csv", "--report", tmp_path / "report.jsonl")
    assert ran.code == 1
    assert "1 indexed, 0 unchanged, 1 not indexed" in ran.out
    assert run("items", "show", "one", "--json").json()["metadata"]["album"] == "farm"
    (line,) = (tmp_path / "report.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == "ghost.wav"


def test_what_is_neither_folder_nor_manifest_is_said(run: Run, folder: Path) -> None:
    ran = run("index", folder / "a.wav")
    assert ran.code == 2
    assert "a.wav is not a manifest" in ran.err


def test_a_folder_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    assert run("index", tmp_path / "nothing").code == 2


def test_a_server_and_a_cluster_are_not_both_asked(run: Run, folder: Path) -> None:
    ran = run("index", folder, "--url", "http://127.0.0.1:9", "--engine", "ray")
    assert ran.code == 2
    assert "--engine ray and --url http://127.0.0.1:9 are both given" in ran.err


def test_a_file_that_failed_is_not_decoded_again(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    encode = Engine.encode

    def watched(engine: Engine, source: Path) -> Encoded:
        decoded.append(source.name)
        return encode(engine, source)

    monkeypatch.setattr(Engine, "encode", watched)
    (folder / "broken.mp4").write_bytes(b"\x00" * 100)
    first = run("index", folder, "--json").json()["failed"]["broken.mp4"]
    assert sorted(decoded) == ["a.wav", "b ü.png", "broken.mp4", "c.mp4"]
    decoded.clear()
    again = run("index", folder, "--json")
    assert (again.code, decoded) == (1, [])
    assert again.json()["failed"]["broken.mp4"].startswith(first)
    assert "--retry-failed" in again.json()["failed"]["broken.mp4"]
    assert run("index", folder, "--retry-failed", "--json").json()["failed"] == {
        "broken.mp4": first
    }
    assert decoded == ["broken.mp4"]
    (folder / "broken.mp4").write_bytes(b"\x01" * 100)  # another digest
    run("index", folder)
    assert decoded == ["broken.mp4"] * 2
    monkeypatch.setenv("SRCID_MAX_DECODE_SECONDS", "60")
    run("index", folder)
    assert decoded == ["broken.mp4"] * 3


def test_items_of_files_that_are_gone_are_pruned(run: Run, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (folder / "a.wav").rename(other / "o.wav")
    with open_service(load_settings()) as service:
        service.add("posted", "a dog", metadata={"path": "posted"})
    run("index", other)
    run("index", folder)
    (folder / "farm" / "b ü.png").unlink()
    (folder / "farm" / "old" / "c.mp4").write_bytes(b"no longer decodes")
    (other / "o.wav").unlink()

    def ids() -> list[str]:
        return [json.loads(line)["id"] for line in run("items", "list", "--json").out.splitlines()]

    before = ids()
    listed = run("index", folder, "--prune", "--dry-run")
    assert (listed.code, listed.out) == (
        0,
        "would be deleted: farm/b ü.png\n1 would be deleted\n",
    )
    assert ids() == before
    assert run("index", folder, "--prune", "--json").json()["pruned"] == ["farm/b ü.png"]
    assert ids() == ["farm/old/c.mp4", "o.wav", "posted"]
    assert run("index", folder, "--prune", "--json").json()["pruned"] == []
    assert run("index", folder, "--dry-run").code == 2
    assert run("index", folder, "--prune", "--url", "http://127.0.0.1:9").code == 2
