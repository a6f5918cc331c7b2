"""``srcid keys``."""

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
