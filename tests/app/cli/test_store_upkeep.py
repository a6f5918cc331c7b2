"""``srcid store backup``, ``restore``, ``verify``, ``rebuild`` and ``compact``."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from app.settings import load_settings
from app.upkeep.rebuild import rebuild
from model.config import SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID
from tests.app.cli.running import Run
from tests.media_maker import colours, make_video, tone


@pytest.fixture
def other_checkpoint(tiny_config: SRCIDConfig, tmp_path: Path) -> Path:
    torch.manual_seed(7)
    folder = tmp_path / "other-checkpoint"
    SRCID(tiny_config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs an index leaves it for the others to copy."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def index(run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip, a longer one in three parts, and a sentence; the media are kept."""
    monkeypatch.setenv("SRCID_KEEP_MEDIA", "true")
    monkeypatch.setenv("SRCID_MAX_STEPS", "10")
    if not (made / "data").exists():
        media = made / "media"
        media.mkdir()
        (media / "clip.mp4").write_bytes(make_video(colours(3), audio=tone(3)))
        (media / "long.mp4").write_bytes(make_video(colours(23), audio=tone(23)))
        assert run("index", media).code == 0
        words = ("items", "add", "rain", "--text", "rain on a roof", "--metadata", "n=1")
        assert run(*words).code == 0
        shutil.copytree(tmp_path / "data", made / "data")
    else:
        shutil.copytree(made / "data", tmp_path / "data")
    shutil.copytree(made / "media", tmp_path / "media")
    return tmp_path / "data"


def without_codes(lines: str) -> list[dict[str, object]]:
    items = [json.loads(line) for line in lines.splitlines()]
    return [
        {name: item[name] for name in item.keys() - {"streams", "fingerprint"}} for item in items
    ]


def listed(run: Run, *options: object) -> str:
    ran = run("items", "list", "--json", *options)
    assert ran.code == 0, ran.err
    return ran.out


def test_a_backup_is_restored_with_its_media_and_keys(
    run: Run, index: Path, tmp_path: Path
) -> None:
    before = listed(run)
    run("keys", "add", "web")
    backup, other = tmp_path / "backups" / "monday", tmp_path / "other"
    made = run("store", "backup", backup, "--json").json()
    assert made["items"] == before.count("\n")
    assert made["media_files"] == 4  # two clips, each with a thumbnail
    run("items", "delete", "clip.mp4", "rain")
    ran = run("store", "restore", backup)
    assert ran.code == 2
    assert "name another data directory (--data-dir), or say --replace" in ran.err
    for options in (["--replace"], ["--data-dir", other]):
        assert run("store", "restore", backup, *options).code == 0
        where = options if options[0] == "--data-dir" else []
        assert listed(run, *where) == before
        assert "web" in run("keys", "list", *where).out
        copy = tmp_path / "clip.mp4"
        assert run("items", "download", "clip.mp4", copy, *where).code == 0
        assert copy.read_bytes() == (tmp_path / "media" / "clip.mp4").read_bytes()
        copy.unlink()
        assert run("store", "verify", *where).code == 0


def test_a_backup_is_a_data_directory_and_never_written_over(
    run: Run, index: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    assert run("store", "backup", backup).code == 0
    assert listed(run, "--data-dir", backup) == listed(run)
    ran = run("store", "backup", backup)
    assert (ran.code, ran.out) == (2, "")
    assert "exists: name a new folder" in ran.err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("damage", ["missing", "changed", "no manifest"])
def test_a_damaged_backup_is_refused_and_the_index_is_left_alone(
    run: Run, index: Path, tmp_path: Path, damage: str
) -> None:
    backup = tmp_path / "backup"
    run("store", "backup", backup)
    before = listed(run)
    if damage == "missing":
        (backup / "items.sqlite3").unlink()
    elif damage == "changed":
        with (backup / "items.sqlite3").open("ab") as file:
            file.write(b"x")
    else:
        (backup / "backup.json").write_text("{}")
    ran = run("store", "restore", backup, "--replace")
    assert ran.code == 2
    assert "backup" in ran.err
    assert listed(run) == before


def test_a_backup_takes_the_place_of_a_database_that_cannot_be_read(
    run: Run, index: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    run("store", "backup", backup)
    before = listed(run)
    (index / "items.sqlite3").write_bytes(b"\xff" * 8192)
    assert run("items", "list").code == 2
    assert "a database that cannot be read" in run("store", "restore", backup).err
    assert run("store", "restore", backup, "--replace").code == 0
    assert listed(run) == before
    assert (index / "damaged-items.sqlite3").read_bytes() == b"\xff" * 8192


def test_verify_names_what_is_damaged(run: Run, index: Path) -> None:
    ran = run("store", "verify", "--json")
    assert (ran.code, ran.json()["damages"]) == (0, [])
    assert ran.json()["media_files"] >= 2
    for kept in (index / "media").glob("*/*.media"):
        kept.write_bytes(b"other")
    with closing(sqlite3.connect(index / "items.sqlite3", isolation_level=None)) as db:
        db.execute(
            "UPDATE streams SET codes = x'ffff0000' WHERE key = (SELECT max(key) FROM streams)"
        )
    ran = run("store", "verify", "--json")
    damages = " ".join(ran.json()["damages"])
    assert ran.code == 1
    assert "item 'clip.mp4': its media" in damages
    assert "item 'long.mp4': its media" in damages
    assert "item 'rain': its text has no codes, or negative ones" in damages
    (index / "items.sqlite3").write_bytes(b"not a database" * 1000)
    ran = run("store", "verify")
    assert ran.code == 1
    assert "damaged: items.sqlite3: file is not a database" in ran.out


def test_compact_gives_back_what_deleted_items_took(run: Run, index: Path) -> None:
    with closing(sqlite3.connect(index / "items.sqlite3", isolation_level=None)) as db:
        db.execute("UPDATE items SET metadata = json_object('x', hex(zeroblob(200000)))")
        db.execute("UPDATE items SET metadata = '{}'")
    before = listed(run)
    made = run("store", "compact", "--json").json()
    assert made["items"] == before.count("\n")
    assert made["bytes_after"] < made["bytes_before"] - 200_000
    assert listed(run) == before
    assert len(list((index / "snapshots").iterdir())) == 1
    assert run("store", "verify").code == 0


def test_another_checkpoint_is_refused_with_what_to_do_until_the_index_is_rebuilt(
    run: Run, index: Path, other_checkpoint: Path
) -> None:
    before = listed(run)
    ran = run("items", "list", "--checkpoint", other_checkpoint)
    assert ran.code == 2
    assert "encode them again from the stored media (srcid store rebuild)" in ran.err
    made = run("store", "rebuild", "--checkpoint", other_checkpoint, "--json").json()
    assert (made["items"], made["left_out"]) == (before.count("\n"), {})
    after = listed(run, "--checkpoint", other_checkpoint)

    assert without_codes(after) == without_codes(before)
    assert after != before
    assert run("items", "list").code == 2  # the old checkpoint is now the other one
    assert not list(index.glob("rebuild-*"))
    again = run("store", "rebuild", "--checkpoint", other_checkpoint, "--json").json()
    assert again == made


def test_an_interrupted_rebuild_brings_back_nothing_that_was_deleted_or_changed_since(
    run: Run, index: Path, other_checkpoint: Path
) -> None:
    run("items", "add", "snow", "--text", "snow on a roof")

    def interrupt(total: int) -> Callable[[], object]:
        steps = iter(range(total - 1))
        return lambda: next(steps)

    new = load_settings(checkpoint=str(other_checkpoint))
    with pytest.raises(StopIteration):
        rebuild(new, drop=False, begin=interrupt)
    assert listed(run, "--data-dir", next(index.glob("rebuild-*")), "--checkpoint", new.checkpoint)
    run("items", "delete", "snow", "clip.mp4")
    run("items", "add", "rain", "--text", "rain on a tent", "--replace")
    before = listed(run)
    assert run("store", "rebuild", "--checkpoint", other_checkpoint).code == 0
    assert without_codes(listed(run, "--checkpoint", other_checkpoint)) == without_codes(before)


def test_items_without_media_are_named_and_left_out_only_if_that_is_meant(
    run: Run, index: Path, other_checkpoint: Path
) -> None:
    for kept in (index / "media").glob("*/*"):
        kept.unlink()
    before = listed(run)
    ran = run("store", "rebuild", "--checkpoint", other_checkpoint)
    assert ran.code == 2
    because = "cannot encode 2 items ('clip.mp4': its media were not kept"
    assert ran.err.startswith(f"srcid: {because}")  # and no bar before it
    assert listed(run) == before
    made = run("store", "rebuild", "--checkpoint", other_checkpoint, "--drop", "--json").json()
    assert (made["items"], sorted(made["left_out"])) == (1, ["clip.mp4", "long.mp4"])


def test_items_that_the_new_checkpoint_cannot_take_are_named(
    run: Run, index: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    """Sentences where it takes no text, and media where they cannot be read."""
    seen = {m: own for m, own in tiny_config.modalities.items() if m is not Modality.TEXT}
    without_text = tmp_path / "without-text"
    SRCID(tiny_config.model_copy(update={"modalities": seen})).save_pretrained(without_text)
    for kept in (index / "media").glob("*/*"):
        kept.write_bytes(b"damaged")
    before = listed(run)
    ran = run("store", "rebuild", "--checkpoint", without_text)
    assert ran.code == 2
    assert "cannot encode 3 items" in ran.err
    assert "'rain': nothing to encode: this checkpoint takes audio, video" in ran.err
    assert "'clip.mp4': not a file that decodes" in ran.err
    assert listed(run) == before
    ran = run("store", "rebuild", "--checkpoint", without_text, "--drop")
    assert ran.code == 0
    assert [line.split(":")[0] for line in ran.out.splitlines()[:-1]] == ["left out"] * 3
    assert ran.out.splitlines()[-1].startswith("0 items encoded, 3 left out; checkpoint ")
    assert "| 3/3 [" in ran.err  # the bar at its end


@pytest.mark.parametrize("command", ["backup", "verify", "rebuild", "compact"])
def test_a_folder_without_an_index_is_told_to_index(run: Run, tmp_path: Path, command: str) -> None:
    to = [tmp_path / "backup"] if command == "backup" else []
    ran = run("store", command, *to)
    assert ran.code == 2
    assert "holds no index: index a folder of media first" in ran.err
    assert not (tmp_path / "data").exists()
