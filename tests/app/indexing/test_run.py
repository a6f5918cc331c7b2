"""Files into the index: which, under which id, several at once."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import InvalidRequest, Overloaded, StoreUnavailable
from app.indexing.run import Outcome, files_below, files_of_manifest, index_files
from app.settings import Settings
from tests.app.indexing.opened import Opened, opened_index


@pytest.fixture
def index(settings: Settings) -> Iterator[Opened]:
    with opened_index(settings) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, sound: bytes, picture: bytes) -> Path:
    root = tmp_path / "media"
    (root / "b" / ".hidden").mkdir(parents=True)
    for name in ("z.wav", "b/a.wav", "b/.hidden/x.wav", ".y.wav"):
        (root / name).write_bytes(sound)
    (root / "b" / "p.png").write_bytes(picture)
    (root / "b" / "notes.mp4").write_text("no media")
    (root / "b" / "notes.txt").write_text("not even by its name")
    (root / "b" / "nameless").write_bytes(sound)
    (root / "broken.wav").symlink_to(root / "ghost.wav")
    return root


def run(index: Opened, folder: Path, stop: threading.Event | None = None) -> list[Outcome]:
    files = files_below(folder)
    return list(index_files(index.bulk, files, workers=3, stop=stop or threading.Event()))


def test_files_are_named_by_their_path_in_a_fixed_order(folder: Path) -> None:
    assert [file.item_id for file in files_below(folder)] == [
        "broken.wav",
        "z.wav",
        "b/a.wav",
        "b/nameless",
        "b/notes.mp4",
        "b/p.png",
    ]
    assert next(files_below(folder / "b", prefix="b")).item_id == "b/a.wav"
    assert next(files_below(folder / "b", prefix="b")).metadata == {"path": "b/a.wav"}


@pytest.mark.parametrize(
    "name", [" a b .png", "tab\there", "two\nlines", "back\\slash", "é:~@", "x" * 250]
)
def test_the_id_of_a_file_is_its_path(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (file,) = files_below(tmp_path)
    assert file.item_id == name
    assert file.metadata == {"path": name}


def test_an_id_is_derived_from_a_path_that_is_too_long_or_no_text(tmp_path: Path) -> None:
    long = Path("x" * 200, "y" * 100)
    (tmp_path / long.parent).mkdir()
    for name in (str(long), f"{long}z", "\udcff.wav", "\\xff.wav"):
        (tmp_path / name).write_bytes(b"x")
    ids = {file.label: file.item_id for file in files_below(tmp_path)}
    assert len(set(ids.values())) == 4
    assert ids["\\xff.wav"] == "\\xff.wav"
    assert ids["\udcff.wav"].startswith("\\xff.wav~")
    for name in (str(long), f"{long}z"):
        assert len(ids[name]) == 255
        assert ids[name].startswith("x" * 200 + "/yyy")
        assert ids[name][-17:] == "~" + hashlib.sha256(name.encode()).hexdigest()[:16]
    assert ids == {file.label: file.item_id for file in files_below(tmp_path)}


def test_what_systems_leave_among_media_is_skipped(folder: Path, sound: bytes) -> None:
    before = list(files_below(folder))
    for name in ("@eaDir/z.wav@SYNO.jpg", "#recycle/old.wav", "b/__MACOSX/x.wav", "$RECYCLE.BIN/y"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(sound)
    for name in (".DS_Store", "Thumbs.db", "b/thumbs.db", "desktop.ini", "._z.wav"):
        (folder / name).write_bytes(sound)
    assert list(files_below(folder)) == before


def test_each_file_is_indexed_or_said_why_not(index: Opened, folder: Path) -> None:
    outcomes = {outcome.file.item_id: outcome for outcome in run(index, folder)}
    assert list(outcomes) == [file.item_id for file in files_below(folder)]
    kinds = {name: outcome.kind for name, outcome in outcomes.items()}
    assert kinds == {
        "broken.wav": "failed",
        "z.wav": "indexed",
        "b/a.wav": "indexed",
        "b/nameless": "indexed",
        "b/notes.mp4": "failed",
        "b/p.png": "indexed",
    }
    assert outcomes["broken.wav"].detail == "it cannot be read: No such file or directory"
    assert index.service.get("b/p.png").metadata == {"path": "b/p.png"}


def test_what_has_not_changed_is_passed_over(index: Opened, folder: Path, picture: bytes) -> None:
    run(index, folder)
    (folder / "z.wav").write_bytes(picture)
    kinds = {outcome.file.item_id: outcome.kind for outcome in run(index, folder)}
    assert kinds["z.wav"] == "indexed"
    assert kinds["b/a.wav"] == kinds["b/p.png"] == "unchanged"
    assert index.service.get("z.wav").streams.keys() == {"video"}


def test_nothing_more_is_begun_once_stopped(index: Opened, folder: Path) -> None:
    stop = threading.Event()
    outcomes = index_files(index.bulk, files_below(folder), workers=1, stop=stop)
    first = [next(outcomes), next(outcomes)]
    stop.set()
    rest = list(outcomes)
    assert [outcome.file.item_id for outcome in first] == ["broken.wav", "z.wav"]
    assert len(first) + len(rest) < 6 or all(outcome.kind for outcome in rest)
    indexed = [outcome for outcome in first + rest if outcome.kind == "indexed"]
    assert len(index.store) == len(indexed)


def test_a_file_waits_while_the_service_is_overloaded(
    index: Opened, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    submit = index.engine.submit

    def overloaded(source: object, *args: object) -> object:
        tried.append(source)
        if tried.count(source) == 1:
            error = Overloaded("too much waits", retry_after_seconds=1)
            error.retry_after_seconds = 0.001
            raise error
        return submit(source, *args)

    monkeypatch.setattr(index.engine, "submit", overloaded)
    kinds = {outcome.file.item_id: outcome.kind for outcome in run(index, folder)}
    assert kinds["z.wav"] == "indexed"
    assert tried.count(folder / "z.wav") == 2


def test_files_that_cannot_be_written_are_said_to_have_failed(
    index: Opened, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(index.store, "add_many", full)
    details = {outcome.file.item_id: outcome.detail for outcome in run(index, folder)}
    assert details["z.wav"] == details["b/a.wav"] == "the disk is full"
    assert len(index.store) == 0


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_a_manifest_names_files_ids_and_metadata(index: Opened, folder: Path, name: str) -> None:
    manifest = folder / name
    manifest.write_text(
        "path,id,album\nz.wav,my-sound,farm\nb/p.png,,zoo\n"
        if name == "list.csv"
        else '{"path": "z.wav", "id": "my-sound", "album": "farm"}\n\n'
        '{"path": "b/p.png", "album": "zoo"}\n'
    )
    stop = threading.Event()
    outcomes = list(index_files(index.bulk, files_of_manifest(manifest), workers=2, stop=stop))
    assert [outcome.kind for outcome in outcomes] == ["indexed", "indexed"]
    assert index.service.get("my-sound").metadata == {"path": "z.wav", "album": "farm"}
    assert index.service.get("b/p.png").metadata == {"path": "b/p.png", "album": "zoo"}


def test_an_id_that_comes_again_is_said(index: Opened, folder: Path) -> None:
    manifest = folder / "twice.csv"
    manifest.write_text("path,id\nz.wav,same\nb/a.wav,same\n")
    stop = threading.Event()
    outcomes = list(index_files(index.bulk, files_of_manifest(manifest), workers=2, stop=stop))
    assert [outcome.kind for outcome in outcomes] == ["indexed", "failed"]
    assert "has its id 'same'" in outcomes[1].detail


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id\nx\n"),
        ("b.csv", "path,id\na,b,c\n"),
        ("c.jsonl", "[]\n"),
        ("d.jsonl", "{\n"),
        ("e.jsonl", '{"path": 3}\n'),
        ("f.jsonl", "\xff\xfe"),
    ],
)
def test_what_is_no_manifest_is_said(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidRequest, match=name):
        list(files_of_manifest(tmp_path / name))
