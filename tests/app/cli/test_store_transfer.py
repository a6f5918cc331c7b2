"""``srcid store export`` and ``srcid store import``."""

import json
from pathlib import Path

import faiss
import numpy as np
import pytest

from app.transfer.transfer import FORMATS
from tests.app.cli.running import Run
from tests.media_maker import colours, make_video, tone
from tests.milvus_lite import address_of


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(make_video(colours(3), audio=tone(3)))
    return folder


@pytest.mark.parametrize("ending", FORMATS)
def test_an_index_is_exported_and_imported_equal(
    run: Run, media: Path, tmp_path: Path, ending: str
) -> None:
    run("index", media)
    run("items", "add", "rain", "--text", "rain on a roof")
    file, other = tmp_path / f"index{ending}", tmp_path / "other"
    ran = run("store", "export", file)
    assert (ran.code, ran.out) == (0, f"2 items exported to {file}\n")
    for _ in range(2):  # a second time changes nothing
        ran = run("store", "import", file, "--data-dir", other)
        assert (ran.code, ran.out) == (0, f"2 items imported from {file}\n")
    there = run("items", "list", "--json", "--data-dir", other)
    assert there.out.count("\n") == 2
    assert there.out == run("items", "list", "--json").out
    again = tmp_path / f"again{ending}"
    run("store", "export", again, "--data-dir", other)
    assert again.read_bytes() == file.read_bytes()


def test_an_index_goes_through_plain_faiss_and_comes_back(
    run: Run, media: Path, tmp_path: Path
) -> None:
    run("index", media)
    run("items", "add", "rain", "--text", "rain on a roof", "--metadata", "place=roof")
    file, copy = tmp_path / "all.faiss", tmp_path / "copy.faiss"
    ran = run("store", "export", file)
    assert (ran.code, ran.out) == (0, f"2 items exported to {file}\n")
    index = faiss.read_index(str(file))
    lines = [json.loads(line) for line in Path(f"{file}.jsonl").read_text().splitlines()]
    names = [(line["id"], line["modality"]) for line in lines]
    assert names == [("clip.mp4", "audio"), ("clip.mp4", "video"), ("rain", "text")]
    assert index.ntotal == 3
    faiss.write_index(index, str(copy))
    Path(f"{copy}.jsonl").write_bytes(Path(f"{file}.jsonl").read_bytes())
    ran = run("store", "import", copy, "--data-dir", tmp_path / "other")
    assert (ran.code, ran.out) == (0, f"2 items imported from {copy}\n")
    there = run("items", "list", "--json", "--data-dir", tmp_path / "other")
    assert there.out == run("items", "list", "--json").out
    index.remove_ids(np.array([0, 1]))
    faiss.write_index(index, str(copy))
    ran = run("store", "import", copy, "--data-dir", tmp_path / "other")
    assert (ran.code, "has 1 rows, but" in ran.err) == (2, True)
    Path(f"{copy}.jsonl").write_text(json.dumps(lines[2] | {"id": "rain again"}))
    assert run("store", "import", copy, "--data-dir", tmp_path / "other").code == 0
    both = [
        run("items", "show", item, "--json", "--data-dir", tmp_path / "other").json()
        for item in ("rain", "rain again")
    ]
    assert both[0]["streams"] == both[1]["streams"]


def test_a_file_with_a_fault_at_its_end_changes_nothing(
    run: Run, media: Path, tmp_path: Path
) -> None:
    run("index", media)
    file = tmp_path / "index.jsonl"
    run("store", "export", file)
    line = json.loads(file.read_text())
    file.write_text(f"{json.dumps(line | {'id': 'new'})}\n{json.dumps(line | {'id': ''})}\n")
    ran = run("store", "import", file)
    assert ran.code == 2
    assert f"srcid: {file}, item 2: id: " in ran.err
    assert run("items", "list", "--json").json()["id"] == "clip.mp4"


def test_an_index_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path) -> None:
    ran = run("store", "export", tmp_path / "index.jsonl")
    assert ran.code == 2
    assert ran.err.startswith("srcid: ")
    assert ran.err.count("\n") == 1


def test_an_index_moves_into_milvus_and_back_out(
    run: Run, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", media)
    run("items", "add", "rain", "--text", "rain on a roof")
    file, again = tmp_path / "index.jsonl", tmp_path / "again.jsonl"
    run("store", "export", file)
    address = address_of(tmp_path)
    monkeypatch.setenv("SRCID_STORE_URL", address.url)
    monkeypatch.setenv("SRCID_STORE_COLLECTION", address.collection)
    assert run("store", "import", file).out == f"2 items imported from {file}\n"
    assert run("store", "export", again).out == f"2 items exported to {again}\n"
    assert again.read_bytes() == file.read_bytes()
