"""Which stamps are taken, and what a machine that cannot fetch them is told."""

from pathlib import Path

import pytest

from app.demo.stamps import PACKAGE, StampsUnavailable, fetch, find


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
