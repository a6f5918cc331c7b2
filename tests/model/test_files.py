"""Atomic, durable writes: what a reader sees after an error, a crash and a power failure."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from model.files import (
    PRIVATE,
    PRIVATE_FOLDER,
    atomic_folder,
    atomic_path,
    atomic_write,
    atomic_write_text,
    sha256,
)

Events = list[tuple[str, str]]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Events:
    """Each fsync and rename of this test, in order, with the name of the file."""
    events: Events = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            assert path.stat().st_size > 0  # all of it has left the buffers of this process
        events.append(("fsync", path.name))

    def recorded(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def call(path: Path, target: Path) -> Path:
            events.append(("rename", f"{path.name} {Path(target).name}"))
            return rename(path, target)

        return call

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("replace", "rename"):
        monkeypatch.setattr(Path, name, recorded(getattr(Path, name)))
    return events


def write_by_path(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.unlink()  # as safetensors does, which renames a file of its own into place
        temporary.write_text("new")


@pytest.mark.parametrize("write", [lambda path: atomic_write_text(path, "new"), write_by_path])
def test_a_file_is_on_disk_before_its_name_is_and_its_name_at_the_end(
    tmp_path: Path, disk: Events, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    for _ in range(2):  # where none is, and in the place of one
        write(path)
        assert path.read_text() == "new"
        (_, temporary), *others = disk
        assert temporary.startswith(".partial-")
        assert others == [("rename", f"{temporary} file"), ("fsync", tmp_path.name)]
        disk.clear()


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("writer", [atomic_write, atomic_path, atomic_folder])
def test_an_error_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, writer: Callable[[Path], AbstractContextManager[object]], error: type
) -> None:
    path = tmp_path / "old"
    if writer is atomic_folder:
        path.mkdir()
    else:
        path.write_text("old")

    def write() -> None:
        with writer(path) as new:
            if isinstance(new, Path) and new.is_dir():
                (new / "file").write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.rglob("*")) == [path]
    assert path.is_dir() or path.read_text() == "old"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="Input/output"):
        atomic_write_text(path, "new")
    assert [(found, found.read_text()) for found in tmp_path.iterdir()] == [(path, "old")]


def test_a_process_killed_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    script = (
        "import os, pathlib, sys; from model.files import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'new'); file.flush(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == -9
    assert path.read_text() == "old"
    atomic_write_text(path, "newer")  # what the other left does not stand in the way
    assert path.read_text() == "newer"


def test_permissions_are_those_asked_for_also_in_the_place_of_another_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode in (0o644, PRIVATE):
        atomic_write_text(path, "text", mode=mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    for mode in (0o755, PRIVATE_FOLDER):
        with atomic_folder(tmp_path / "folder", mode=mode):
            pass
        assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == mode


def test_a_folder_is_on_disk_with_all_in_it_before_its_name_is(
    tmp_path: Path, disk: Events
) -> None:
    folder = tmp_path / "parent" / "folder"
    for content in ("first", "second"):
        with atomic_folder(folder) as new:
            (new / "below").mkdir()
            (new / "below" / content).write_text(content)
            assert not folder.exists() or not (folder / "below" / content).exists()
        assert [path.name for path in folder.rglob("*")] == ["below", content]
        renamed = disk.index(("rename", "new folder"))
        assert {name for _, name in disk[:renamed]} >= {"below", content, "new"}
        assert disk[-1] == ("fsync", "parent")
        disk.clear()
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    with atomic_folder(folder) as new:
        (new / "file").write_text("old")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"), atomic_folder(folder) as new:
        (new / "file").write_text("new")
    assert (folder / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_digest_is_of_the_bytes_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ä")
    assert sha256("ä") == sha256("ä".encode()) == sha256(tmp_path / "file")
