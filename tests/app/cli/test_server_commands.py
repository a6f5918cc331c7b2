"""The same commands on a folder of this machine and on a server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.auth.keys import KeyFile, Scope
from app.client import Client
from app.schemas.jobs import Job
from app.settings import load_settings
from tests.app.cli.running import Run
from tests.app.client.conftest import listening


@pytest.fixture
def folder(tmp_path: Path, sound: bytes, picture: bytes, clip: bytes) -> Path:
    media = tmp_path / "media"
    (media / "farm").mkdir(parents=True)
    (media / "a.wav").write_bytes(sound)
    (media / "farm" / "b ü.png").write_bytes(picture)
    (media / "farm" / "c.mp4").write_bytes(clip)
    return media


@pytest.fixture
def url(run: Run, folder: Path) -> Iterator[str]:
    """A server on the data directory of ``run``; its media root is ``folder``."""
    settings = load_settings(keep_media=True, media_root=folder)
    with listening(settings) as address:
        yield address


def test_a_command_says_the_same_of_both(
    run: Run, folder: Path, tmp_path: Path, clip: bytes
) -> None:
    run("index", folder)
    run("items", "add", "sentence", "--text", "a dog barks", "--metadata", "year=1999")
    query = tmp_path / "query.mp4"
    query.write_bytes(clip)
    first = run("items", "show", "farm/c.mp4", "--json").json()["streams"]["video"]["codes"][0][0]
    commands: list[list[object]] = [
        ["encode", query],
        ["encode", "--text", "a dog", "--json"],
        ["search", "a dog"],
        ["search", "--file", query, "--target", "audio", "-k", "2", "--json"],
        ["search", "--item", "a.wav", "--layers", "1", "--score", "max", "--threshold", "-1"],
        ["search", "a dog", "--where", "year=1999", "--minus", "rain", "--exclude", "a cat"],
        ["search", "a dog", "--where", 'year={"gte": 2000}'],
        ["items", "list"],
        ["items", "list", "--limit", "2", "--json"],
        ["items", "list", "--where", "year=1999"],
        ["items", "list", "--where", 'not=[{"year": 1999}]', "--json"],
        ["items", "show", "farm/c.mp4"],
        ["items", "duplicates", "farm/c.mp4"],
        ["items", "duplicates", "farm/c.mp4", "--json"],
        ["codes", "show", "1", first],
        ["codes", "show", "1", first, "--json"],
        ["codes", "find", f"{first} _", "--target", "video"],
        ["codes", "find", f"{first} _", "--json"],
        ["codes", "compare", query, "item:a.wav"],
        ["codes", "compare", "a dog", "a dog", "--layers", "2", "--json"],
    ]
    local = [run(*command) for command in commands]
    with listening(load_settings()) as address:
        asked = [run(*command, "--url", address) for command in commands]
    for command, here, there in zip(commands, local, asked, strict=True):
        assert here.code == 0, command
        assert there == here, command
        assert here.out.count("\n") >= 1, command
        if "--json" in command:
            assert [json.loads(line) for line in here.out.splitlines()], command


def test_wrong_input_is_one_sentence_on_both(run: Run, folder: Path) -> None:
    run("index", folder)
    commands: list[list[object]] = [
        ["items", "show", "nothing"],
        ["items", "delete", "nothing"],
        ["items", "add", "a.wav", "--text", "a dog"],
        ["items", "add", "..", "--text", "a dog"],
        ["items", "download", "a.wav", "out.wav"],
        ["items", "update", "nothing", "--metadata", "a=1"],
        ["items", "list", "--where", "or=[]"],
        ["items", "delete", "--where", 'a={"near": 1}'],
        ["codes", "show", "7", "1"],
        ["codes", "find", "99999999"],
        ["search", "a dog", "--where", 'year={"near": 2000}'],
        ["search", "--item", "nothing"],
    ]
    local = [run(*command) for command in commands]
    with listening(load_settings()) as address:
        asked = [run(*command, "--url", address) for command in commands]
    for command, *both in zip(commands, local, asked, strict=True):
        for ran in both:
            assert (ran.code, ran.out) == (2, ""), command
            assert ran.err.startswith("srcid: "), command
            assert ran.err.count("\n") == 1, command


def test_a_folder_is_sent_to_a_server(run: Run, folder: Path, url: str) -> None:
    (folder / "broken.mp4").write_bytes(b"\x00" * 100)
    ran = run("index", folder, "--url", url, "--json")
    assert ran.code == 1
    report = ran.json()
    assert report["indexed"] == ["a.wav", "farm/b ü.png", "farm/c.mp4"]
    assert report["failed"].keys() == {"broken.mp4"}
    assert run("index", folder, "--url", url, "--json").json()["unchanged"] == report["indexed"]
    listed = run("items", "list", "--url", url).out.splitlines()
    assert [line.split()[0] for line in listed] == ["id", "a.wav", "farm/b", "farm/c.mp4"]


def test_items_are_added_downloaded_and_deleted(
    run: Run, folder: Path, url: str, tmp_path: Path, clip: bytes
) -> None:
    path = folder / "farm" / "c.mp4"
    added = run("items", "add", "clip", path, "--metadata", "album=farm", "--url", url, "--json")
    assert added.json()["metadata"] == {"album": "farm"}
    assert run("items", "download", "clip", tmp_path / "out.mp4", "--url", url).code == 0
    assert (tmp_path / "out.mp4").read_bytes() == clip
    assert run("items", "add", "clip", "--text", "a dog", "--url", url).code == 2
    assert run("items", "add", "clip", "--text", "a dog", "--replace", "--url", url).code == 0
    assert run("items", "show", "clip", "--url", url, "--json").json()["text"] == "a dog"
    assert run("items", "delete", "clip", "--url", url).code == 0
    assert run("items", "show", "clip", "--url", url).code == 2


@pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "server"])
def test_items_are_changed_and_deleted_by_filter(
    run: Run, url: str, tmp_path: Path, is_remote: bool
) -> None:
    target: list[object] = ["--url", url] if is_remote else ["--data-dir", tmp_path / "other"]
    for n in range(3):
        run("items", "add", f"{n}", "--text", "a dog", "--metadata", f"n={n}", *target)
    changes = ["--metadata", "n=null", "--metadata", "album=farm"]
    changed = run("items", "update", "1", *changes, "--json", *target)
    assert changed.json()["metadata"] == {"album": "farm"}
    refused = run("items", "delete", *target)
    assert (refused.code, "ids of items, or --where" in refused.err) == (2, True)
    assert run("items", "delete", "0", "--where", "n=0", *target).code == 2
    deleted = run("items", "delete", "--where", 'n={"gte": 0}', *target)
    assert (deleted.code, deleted.out) == (0, "deleted 2 items\n")
    assert run("items", "show", "1", *target).code == 0
    assert run("items", "show", "0", *target).code == 2


def test_an_item_of_a_local_index_is_replaced_only_where_that_is_said(run: Run) -> None:
    assert run("items", "add", "a", "--text", "a dog").code == 0
    assert run("items", "add", "a", "--text", "rain").code == 2
    assert run("items", "show", "a", "--json").json()["text"] == "a dog"
    assert run("items", "add", "a", "--text", "rain", "--replace").code == 0
    assert run("items", "show", "a", "--json").json()["text"] == "rain"


def test_a_server_indexes_a_folder_of_its_own(run: Run, folder: Path, url: str) -> None:
    (folder / "farm" / "broken.mp4").write_bytes(b"\x00" * 100)
    ran = run("jobs", "start", "farm", "--metadata", "by=me", "--watch", "--url", url)
    assert ran.code == 1
    assert "not indexed: farm/broken.mp4: " in ran.out
    (job,) = run("jobs", "list", "--url", url, "--json").json()
    assert (job["state"], job["indexed"], job["failed"]) == ("finished", 2, 1)
    shown = run("jobs", "show", job["id"], "--url", url)
    assert shown.code == 0
    assert shown.out.splitlines()[1].split()[:3] == [job["id"], "finished", "farm"]
    assert run("jobs", "watch", job["id"], "--url", url, "--json").code == 1
    assert run("jobs", "cancel", job["id"], "--url", url).code == 0  # forgets it
    assert run("jobs", "show", job["id"], "--url", url).code == 2
    outside = run("jobs", "start", "..", "--url", url)
    assert outside.code == 2
    started = run("jobs", "start", "--url", url)
    assert run("jobs", "watch", started.out.strip(), "--url", url).code == 1
    again = run("jobs", "start", "farm", "--url", url, "--json").json()
    assert again["request"]["folder"] == "farm"
    assert run("jobs", "watch", again["id"], "--url", url).code == 1


def test_a_job_goes_on_when_who_watches_it_leaves(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(client: Client, job_id: str) -> Iterator[Job]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "watch_job", left)
    ran = run("jobs", "start", "farm", "--watch", "--url", url)
    assert ran.code == 130
    (job,) = run("jobs", "list", "--url", url, "--json").json()
    assert f"the job continues; `srcid jobs cancel {job['id']}` ends it" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("search", "a dog", "--item", "a"), "give either a file, a sentence or an item"),
        (("search",), "give either a file or a sentence"),
        (("codes", "find", "12 x"), "is not a pattern"),
    ],
)
def test_a_command_that_cannot_be_meant_is_told_how_it_could(
    run: Run, words: tuple[str, ...], told: str
) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def test_address_and_key_come_from_options_or_the_environment(
    run: Run, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = KeyFile(load_settings().data_dir).add("me", Scope.READ)
    refused = run("search", "a dog", "--url", url)
    assert refused.code == 2
    assert "this needs an API key" in refused.err
    assert run("search", "a dog", "--url", url, "--key", key).code == 0
    monkeypatch.setenv("SRCID_URL", url)
    monkeypatch.setenv("SRCID_API_KEY", key)
    assert run("items", "list").code == 0
    written = run("items", "delete", "a")
    assert written.code == 2
    assert "needs write" in written.err
    both = run("search", "a dog", "--data-dir", folder)
    assert both.code == 2
    assert "--data-dir cannot be set for a server" in both.err


def test_a_server_that_is_not_there_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.client.synchronous.time.sleep", lambda seconds: None)
    ran = run("search", "a dog", "--url", "http://127.0.0.1:9")
    assert ran.code == 2
    assert ran.err.startswith("srcid: http://127.0.0.1:9/ does not answer")
    assert ran.err.count("\n") == 1
    assert run("search", "a dog", "--url", "localhost").code == 2


def test_a_path_that_is_not_utf8_is_read_and_shown(run: Run, tmp_path: Path, sound: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    Path(path).write_bytes(sound)
    assert run("encode", path).code == 0
    (tmp_path / "media").mkdir()
    Path(path).rename(tmp_path / "media" / Path(path).name)
    indexed = run("index", tmp_path / "media")
    assert indexed.code == 0
    (item,) = run("items", "list", "--json").out.splitlines()
    assert json.loads(item)["metadata"] == {"path": "\\xff.wav"}
    assert json.loads(item)["id"].startswith("\\xff.wav~")
    assert "1 unchanged" in run("index", tmp_path / "media").out
    missing = run("encode", path)
    assert missing.code == 2
    assert "Traceback" not in missing.err
    assert run("search", "a \udcff").code == 2
