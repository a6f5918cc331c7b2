"""``srcid keys``."""

from pathlib import Path

import pytest

from app.auth.keys import KeyFile
from app.settings import load_settings
from tests.app.cli.running import Run


def test_a_key_is_shown_once_listed_and_revoked(run: Run) -> None:
    secret = run("keys", "add", "web", "--scope", "write").out.strip()
    assert run("keys", "add", "backup").code == 0
    found = KeyFile(load_settings().data_dir).find(secret)
    assert found is not None
    assert (found.name, found.scope) == ("web", "write")

    listed = run("keys", "list")
    lines = [line.split() for line in listed.out.splitlines()]
    assert lines[0] == ["name", "scope", "key", "created"]
    assert [line[:2] for line in lines[1:]] == [["web", "write"], ["backup", "read"]]
    assert lines[1][2] == f"...{secret[-4:]}"
    as_json = run("keys", "list", "--json")
    assert [key["name"] for key in as_json.json()] == ["web", "backup"]
    for ran in (listed, as_json):
        assert secret not in ran.out
        assert found.sha256 not in ran.out

    assert run("keys", "revoke", "web").code == 0
    assert KeyFile(load_settings().data_dir).find(secret) is None


def test_a_name_that_is_taken_or_unknown_is_one_sentence(run: Run) -> None:
    run("keys", "add", "web")
    for words in (["add", "web"], ["revoke", "wbe"]):
        ran = run("keys", *words)
        assert ran.code == 2
        assert ran.err.startswith("srcid: there is ")
        assert ran.err.count("\n") == 1


def test_a_public_server_without_keys_does_not_start(run: Run) -> None:
    ran = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.code == 2
    assert "srcid keys add" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("keys", "list"), ("store", "verify"), ("store", "backup", "copy")]
)
def test_a_command_for_a_folder_is_refused_where_a_server_is_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    folder = load_settings().data_dir
    assert run("items", "add", "rain", "--text", "rain").code == 0
    monkeypatch.setenv("SRCID_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    ran = run(*words)
    assert ran.code == 2
    assert "SRCID_URL is 'http://127.0.0.1:9'" in ran.err
    assert not (tmp_path / "copy").exists()
    assert run(*words, "--data-dir", folder).code == 0
