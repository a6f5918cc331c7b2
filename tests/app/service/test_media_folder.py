"""Kept media: written whole, erased, swept."""

import os
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.service import media
from app.service.media import MediaFolder


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media")


def files(folder: MediaFolder) -> list[Path]:
    return [path for path in folder.folder.rglob("*") if path.is_file()]


def test_what_is_kept_is_found_by_id_and_digest(folder: MediaFolder, tmp_path: Path) -> None:
    folder.keep("a", "d1", b"media", thumbnail=b"small")
    own = tmp_path / "own.mp4"
    own.write_bytes(b"from a file")
    folder.keep("../b", "d2", own, thumbnail=None)
    media, other = folder.media("a", "d1"), folder.media("../b", "d2")
    assert media is not None
    assert media.read_bytes() == b"media"
    assert other is not None
    assert other.read_bytes() == b"from a file"
    assert other.is_relative_to(folder.folder)
    assert folder.thumbnail("../b", "d2") is None
    assert folder.media("a", "d2") is None


def test_what_is_erased_is_gone(folder: MediaFolder) -> None:
    folder.keep("a", "d", b"media", thumbnail=b"small")
    folder.erase("a", "d")
    folder.erase("a", "d")
    assert files(folder) == []


def test_a_sweep_removes_what_belongs_to_no_item(folder: MediaFolder) -> None:
    for name in "abc":
        folder.keep(name, "d", name.encode(), thumbnail=b"small")
    (folder.folder / "00").mkdir(exist_ok=True)
    (folder.folder / "00" / ".aside").write_bytes(b"half")  # what a crash leaves of a write
    for path in files(folder):
        os.utime(path, (1, 1))
    folder.keep("new", "d", b"being added", thumbnail=None)
    late = folder.media("new", "d")
    assert late is not None
    os.utime(late, (2**33, 2**33))
    assert folder.sweep([("a", "d"), ("b", "other digest")]) == 5
    assert folder.media("a", "d") is not None
    assert folder.thumbnail("a", "d") is not None
    assert len(files(folder)) == 3


def test_a_sweep_of_nothing_is_nothing(folder: MediaFolder) -> None:
    assert folder.sweep([]) == 0
    assert not folder.folder.exists()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable, match="cannot write media"):
        MediaFolder(tmp_path / "media").keep("a", "d", b"x", thumbnail=None)


def test_a_failed_write_leaves_what_an_unchanged_item_has(
    folder: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.keep("a", "d", b"media", thumbnail=None)
    before = {path: path.read_bytes() for path in files(folder)}

    def full(path: Path, content: object) -> None:
        if path.suffix == ".jpg":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(media, "_write", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        folder.keep("a", "d", b"media", thumbnail=b"picture")
    assert {path: path.read_bytes() for path in files(folder)} == before


def test_a_failed_write_leaves_no_part_of_a_new_item(
    folder: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = media._write

    def full(path: Path, content: bytes | Path) -> None:
        if path.suffix == ".jpg":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(media, "_write", full)
    with pytest.raises(StoreUnavailable):
        folder.keep("a", "d", b"media", thumbnail=b"picture")
    assert files(folder) == []
