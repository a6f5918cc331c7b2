"""API keys as they are kept."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from hmac import compare_digest
from pathlib import Path

import pytest

from app.auth.keys import KeyFile, Scope
from app.errors import InvalidRequest, NotFound, StoreUnavailable


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data")


def test_a_key_is_found_by_its_secret_only(keys: KeyFile) -> None:
    assert not keys.exists()
    secret = keys.add("web", Scope.READ)
    other = keys.add("worker", Scope.WRITE)
    assert secret != other
    found = keys.find(secret)
    assert found is not None
    assert (found.name, found.scope, found.last_four) == ("web", Scope.READ, secret[-4:])
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), found.sha256, "\udcff"):
        assert keys.find(wrong) is None


def test_all_keys_are_compared_in_constant_time_whichever_it_is(
    keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [keys.add(name, Scope.READ) for name in ("first", "second", "third")]
    compared = []

    def compare(kept: str, given: str) -> bool:
        compared.append(kept)
        return compare_digest(kept, given)

    monkeypatch.setattr("hmac.compare_digest", compare)
    for secret in (*secrets, "none of them"):
        keys.find(secret)
        assert len(compared) == 3
        compared.clear()


def test_a_key_has_256_random_bits(keys: KeyFile) -> None:
    secret = keys.add("web", Scope.READ)
    assert secret.startswith("srcid_")
    assert len(secret.removeprefix("srcid_")) * 6 >= 256


def test_the_file_holds_no_secret_and_is_for_its_owner_only(keys: KeyFile) -> None:
    secret = keys.add("web", Scope.READ)
    assert secret.removeprefix("srcid_") not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_a_scope_includes_the_smaller_ones() -> None:
    assert [[own.includes(other) for other in Scope] for own in Scope] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_what_another_process_changes_is_seen_at_once(keys: KeyFile) -> None:
    elsewhere = KeyFile(keys.path.parent)
    secret = keys.add("web", Scope.READ)
    assert elsewhere.find(secret)
    keys.revoke("web")
    assert elsewhere.find(secret) is None
    assert elsewhere.exists()  # so that a server does not open when its last key goes


def test_a_replaced_key_is_rejected_though_size_time_and_inode_of_the_file_stay_the_same(
    keys: KeyFile, tmp_path: Path
) -> None:
    old = keys.add("web", Scope.READ)
    assert keys.find(old)
    before = keys.path.stat()
    other = KeyFile(tmp_path / "other")
    new = other.add("web", Scope.READ)
    keys.path.write_bytes(other.path.read_bytes())
    os.utime(keys.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = keys.path.stat()
    for name in ("st_size", "st_mtime_ns", "st_ino"):
        assert getattr(after, name) == getattr(before, name)
    assert keys.find(old) is None
    assert keys.find(new)


def test_keys_made_at_the_same_time_are_all_kept(keys: KeyFile) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda n: KeyFile(keys.path.parent).add(f"key{n}", Scope.READ), range(16))
        assert all(keys.find(secret) for secret in made)
    assert len(keys.all()) == 16


def test_a_name_is_taken_once_and_an_unknown_one_is_told(keys: KeyFile) -> None:
    keys.add("web", Scope.READ)
    with pytest.raises(InvalidRequest, match="there is a key 'web'"):
        keys.add("web", Scope.ADMIN)
    with pytest.raises(NotFound, match="srcid keys list"):
        keys.revoke("wbe")
    for name in ("", "a b", "x" * 65, "a\n"):
        with pytest.raises(InvalidRequest, match="letters"):
            keys.add(name, Scope.READ)
    assert [key.name for key in keys.all()] == ["web"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [{"name": "a"}]}', b"\xff"])
def test_a_damaged_file_lets_nobody_in(keys: KeyFile, content: bytes) -> None:
    secret = keys.add("web", Scope.READ)
    keys.path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="srcid keys add"):
            keys.find(secret)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="SRCID_DATA_DIR"):
        KeyFile(tmp_path / "file" / "data").add("web", Scope.READ)


def test_the_file_is_plain_json(keys: KeyFile) -> None:
    keys.add("web", Scope.READ)
    (kept,) = json.loads(keys.path.read_text())["keys"]
    assert kept.keys() == {"name", "scope", "sha256", "last_four", "created"}
