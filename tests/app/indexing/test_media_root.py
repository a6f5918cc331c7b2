"""The media root: nothing outside of it, however it is named."""

from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.indexing.media_root import MediaRoot


@pytest.fixture
def root(tmp_path: Path) -> MediaRoot:
    inside, outside = tmp_path / "root", tmp_path / "root-not"
    for folder in (inside / "farm", outside):
        folder.mkdir(parents=True)
        (folder / "a.wav").write_bytes(b"x")
        (folder / "list.csv").write_text("path\na.wav\n")
    (inside / "away").symlink_to(outside)
    (inside / "away.wav").symlink_to(outside / "a.wav")
    (inside / "round.wav").symlink_to(inside / "round.wav")
    (inside / "near.wav").symlink_to(inside / "farm" / "a.wav")
    return MediaRoot(inside)


OUTSIDE = ["..", "../root-not", "away", "farm/../../root-not", "/etc", "ghost", "a\0b", "round.wav"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_folder_outside_is_refused_as_one_that_is_not_there(root: MediaRoot, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there is no folder .* below the media root"):
        root.folder(name)


@pytest.mark.parametrize("name", ["../root-not/list.csv", "away/list.csv", "farm/a.wav", "", "x"])
def test_a_manifest_outside_or_of_another_kind_is_refused(root: MediaRoot, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there is no manifest .* below the media root"):
        root.manifest(name)


@pytest.mark.parametrize("name", ["away.wav", "away/a.wav", "round.wav", "ghost.wav", "farm"])
def test_a_file_that_leads_outside_is_refused(root: MediaRoot, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no such file below the media root"):
        root.file(root.root / name)


def test_what_lies_below_is_found(root: MediaRoot) -> None:
    assert root.folder("") == root.root
    assert root.folder("farm/../farm/") == root.root / "farm"
    assert root.manifest("farm/list.csv") == root.root / "farm" / "list.csv"
    assert root.file(root.root / "near.wav") == root.root / "farm" / "a.wav"
    assert root.name_of(root.root) == ""
    assert root.name_of(root.root / "farm") == "farm"


def test_a_root_that_is_not_there_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    MediaRoot(tmp_path)
    assert not caplog.records
    MediaRoot(tmp_path / "not-mounted")
    assert "not-mounted, which is not a folder" in caplog.text
