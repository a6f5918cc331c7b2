"""Which API keys a restore brings back."""

from pathlib import Path

import pytest

from app.auth.keys import KeyFile, Scope
from app.upkeep.backup import back_up, restore
from tests.app.store.processes import make_item, open_store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with open_store(tmp_path / "data") as store:
        store.add(make_item("a", 1), replace=False)
    return tmp_path / "data"


def test_keys_revoked_since_the_backup_stay_revoked(data: Path, tmp_path: Path) -> None:
    keys = KeyFile(data)
    stays, goes = (keys.add(name, Scope.READ) for name in ("stays", "goes"))
    assert back_up(data, tmp_path / "backup").has_keys
    keys.revoke("goes")
    later = keys.add("later", Scope.WRITE)
    restore(tmp_path / "backup", data, replace=True)
    for secret, expected in ((stays, "stays"), (goes, None), (later, "later")):
        key = KeyFile(data).find(secret)
        assert (key and key.name) == expected


@pytest.mark.parametrize("replace", [True, False])
def test_no_key_comes_back_where_the_last_one_was_revoked(
    data: Path, tmp_path: Path, replace: bool
) -> None:
    keys = KeyFile(data)
    secret = keys.add("web", Scope.ADMIN)
    back_up(data, tmp_path / "backup")
    keys.revoke("web")
    if not replace:
        (data / "items.sqlite3").unlink()
    restore(tmp_path / "backup", data, replace=replace)
    assert KeyFile(data).exists()  # so that a server does not open to everyone either
    assert KeyFile(data).find(secret) is None


def test_keys_come_back_where_there_are_none(data: Path, tmp_path: Path) -> None:
    secret = KeyFile(data).add("web", Scope.READ)
    back_up(data, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "other", replace=False)
    assert KeyFile(tmp_path / "other").find(secret)
    assert KeyFile(tmp_path / "other").path.stat().st_mode & 0o777 == 0o600


def test_a_backup_without_keys_leaves_those_that_there_are(data: Path, tmp_path: Path) -> None:
    assert not back_up(data, tmp_path / "backup").has_keys
    secret = KeyFile(data).add("web", Scope.READ)
    restore(tmp_path / "backup", data, replace=True)
    assert KeyFile(data).find(secret)


def test_files_that_are_being_written_are_not_backed_up(data: Path, tmp_path: Path) -> None:
    (data / "media" / "ab").mkdir(parents=True)
    (data / "media" / "ab" / "abcd.media").write_bytes(b"whole")
    (data / "media" / "ab" / ".partial-abcd").write_bytes(b"half")
    assert back_up(data, tmp_path / "backup").media_files == 1
    assert [path.name for path in (tmp_path / "backup" / "media" / "ab").iterdir()] == [
        "abcd.media"
    ]
