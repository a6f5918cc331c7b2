"""Which stamps are taken, and what a machine that cannot fetch them is told."""

from pathlib import Path

import pytest

from app.demo.stamps import PACKAGE, StampsUnavailable, fetch, find, write_bank
from model.modality import Modality
from training.data.bank import read_manifest


def stamp(folder: Path, name: str, *suffixes: str, text: str = "A dog.\nfr.utf8=Un chien.") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    for suffix in suffixes:
        path.with_suffix(suffix).touch()


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_only_stamps_with_picture_sound_and_sentence_are_taken(tmp_path: Path) -> None:
    stamp(tmp_path, "animals/dog", ".png", ".ogg")
    stamp(tmp_path, "animals/silent", ".png")
    stamp(tmp_path, "animals/unseen", ".ogg")
    stamp(tmp_path, "animals/nameless", ".png", ".ogg", text="\nfr.utf8=Un chien.")
    (found,) = find(tmp_path)
    assert (found.name, found.sentence) == ("animals/dog", "A dog.")


def test_letters_digits_and_signs_are_left_out(tmp_path: Path) -> None:
    for name in ("symbols/math/plus", "town/roadsigns/stop", "seasonal/hanukkah/gimel"):
        stamp(tmp_path, name, ".png", ".ogg")
    assert find(tmp_path) == []


def test_what_is_white_is_left_out_since_clips_are_white(tmp_path: Path) -> None:
    stamp(tmp_path, "seasonal/halloween/ghost", ".png", ".ogg")
    stamp(tmp_path, "seasonal/halloween/spider", ".png", ".ogg")
    assert [found.name for found in find(tmp_path)] == ["seasonal/halloween/spider"]


def test_stamps_make_a_bank_without_the_classes_that_are_known(tmp_path: Path) -> None:
    stamp(tmp_path, "animals/dogs/fox", ".png", ".ogg", text="A fox.")  # by its name
    stamp(tmp_path, "music/wind/brass", ".png", ".ogg", text="An Electric Guitar.")  # by its text
    stamp(tmp_path, "animals/bear", ".png", ".ogg", text="A bear, of the woods.")
    known = ["dog", "electric_guitar"]
    assert write_bank(find(tmp_path), tmp_path / "bank", without=known) == 1
    rows = read_manifest(tmp_path / "bank")
    assert {row.modality for row in rows} == set(Modality)
    assert {row.label for row in rows} == {"animals-bear"}
    assert [row.text for row in rows if row.modality is Modality.TEXT] == ["A bear, of the woods."]


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StampsUnavailable, match="no apt-get and no dpkg-deb"):
        fetch(tmp_path)


def test_what_apt_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "apt-get", f'echo "E: Unable to locate {PACKAGE}" >&2; exit 100')
    program(tmp_path / "bin", "dpkg-deb", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(StampsUnavailable, match=f"apt-get failed: E: Unable to locate {PACKAGE}"):
        fetch(tmp_path)


def test_without_package_lists_it_fetches_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = f"""
case "$*" in
*Dir::State::Lists=*update) : > updated ;;
*Dir::State::Lists=*download*) [ -e updated ] && : > {PACKAGE}_1_all.deb ;;
*) exit 100 ;;
esac"""
    program(tmp_path / "bin", "apt-get", apt)
    program(tmp_path / "bin", "dpkg-deb", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = tmp_path / "work"
    folder.mkdir()
    assert fetch(folder) == folder / "usr/share/tuxpaint/stamps"
