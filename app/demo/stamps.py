"""Debian's Tux Paint stamps: pictures, each with a sound effect and a sentence.

The package is fetched with ``apt-get download`` and unpacked with ``dpkg-deb -x``: neither needs
root, and nothing is installed. It is under the GPL-2, so no file of it lies in this project.
"""

import csv
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = "tuxpaint-stamps-default"
STAMPS = Path("usr/share/tuxpaint/stamps")
LETTERS_DIGITS_SIGNS = ("symbols", "town/roadsigns", "seasonal/hanukkah")
WHITE = ("naturalforces/lightningbolt", "seasonal/halloween/ghost")  # unseen on white
SECONDS = 240  # that the download may take


class StampsUnavailable(Exception):
    """This machine cannot fetch or unpack the package; the message says why."""


class Stamp(NamedTuple):
    """One thing to see, hear and read."""

    name: str  # its place in the package: animals/mammals/dogs/dog
    picture: Path
    sound: Path
    sentence: str  # English


def fetch(folder: Path) -> Path:
    """Download and unpack the package (161 MB) in ``folder``; return the folder of the stamps.

    Raises:
        StampsUnavailable: There is no apt here, or the package cannot be had.
    """
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise StampsUnavailable(f"this machine has no {' and no '.join(missing)}")
    _download(folder)
    package = next(folder.glob(f"{PACKAGE}_*.deb"))
    _run(["dpkg-deb", "-x", package.name, "."], folder)
    return folder / STAMPS


def find(stamps: Path) -> list[Stamp]:
    """Return every stamp with picture, sound effect and sentence; no letters, digits or signs."""
    found = []
    for text in sorted(stamps.rglob("*.txt")):
        name = text.relative_to(stamps).with_suffix("").as_posix()
        # The package's few SVG drawings would need a renderer of their own.
        picture, sound = text.with_suffix(".png"), text.with_suffix(".ogg")
        sentence = text.read_text(encoding="utf-8").partition("\n")[0].strip()  # the rest: others
        if name.startswith((*LETTERS_DIGITS_SIGNS, *WHITE)) or not sentence:
            continue
        if picture.is_file() and sound.is_file():
            found.append(Stamp(name, picture, sound, sentence))
    return found


def write_bank(found: Sequence[Stamp], folder: Path, *, without: Collection[str]) -> int:
    """Write stamps as a bank, three rows each; return how many there are.

    Args:
        found: The stamps.
        folder: Made here.
        without: Classes; a stamp is left out if its name or sentence has one of these words.
    """
    folder.mkdir(parents=True)
    words = [name.replace("_", " ").lower() for name in without]
    others = [
        stamp
        for stamp in found
        if not any(word in f"{stamp.name} {stamp.sentence}".lower() for word in words)
    ]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "modality", "class", "split", "text"])
        for stamp in others:
            name = stamp.name.replace("/", "-")
            picture, sound = (f"{name}{own.suffix}" for own in (stamp.picture, stamp.sound))
            shutil.copyfile(stamp.picture, folder / picture)
            shutil.copyfile(stamp.sound, folder / sound)
            rows.writerow([picture, "image", name, "test", ""])
            rows.writerow([sound, "audio", name, "test", ""])
            rows.writerow([name, "text", name, "test", stamp.sentence])
    return len(others)


def _download(folder: Path) -> None:
    options = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    try:
        _run(["apt-get", *options, "download", PACKAGE], folder)
    except StampsUnavailable:
        # A machine that never ran `apt-get update` has no package lists; these are our own.
        (folder / "lists/partial").mkdir(parents=True)
        options += ["-o", f"Dir::State::Lists={folder.resolve() / 'lists'}"]
        options += ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
        _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", PACKAGE], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise StampsUnavailable(f"{command[0]} took more than {SECONDS} seconds") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise StampsUnavailable(f"{command[0]} failed: {reason[-1]}")
