"""Debian's Tux Paint stamps: pictures, each with a sound effect and a sentence.

The package is fetched with ``apt-get download`` and unpacked with ``dpkg-deb -x``: neither needs
root, and nothing is installed. It is under the GPL-2, so this project contains none of its files.
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
WHITE = ("naturalforces/lightningbolt", "seasonal/halloween/ghost")  # invisible on white
SECONDS = 240  # timeout of each command


class StampsUnavailable(Exception):
    """This machine cannot fetch or unpack the package; the message says why."""


class Stamp(NamedTuple):
    """A picture, a sound and a sentence of the same thing."""

    name: str  # its path in the package: animals/mammals/dogs/dog
    picture: Path
    sound: Path
    sentence: str  # English


def fetch(folder: Path) -> Path:
    """Download and unpack the package (161 MB) in ``folder``; return the folder of the stamps.

    Raises:
        StampsUnavailable: apt is missing, or it cannot fetch the package.
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
    complete = []
    for text in sorted(stamps.rglob("*.txt")):
        name = text.relative_to(stamps).with_suffix("").as_posix()
        # The few SVG drawings of the package would need a renderer.
        picture, sound = text.with_suffix(".png"), text.with_suffix(".ogg")
        sentence = (
            text.read_text(encoding="utf-8").partition("\n")[0].strip()
        )  # the rest: other languages
        if name.startswith((*LETTERS_DIGITS_SIGNS, *WHITE)) or not sentence:
            continue
        if picture.is_file() and sound.is_file():
            complete.append(Stamp(name, picture, sound, sentence))
    return complete


def write_bank(stamps: Sequence[Stamp], folder: Path, *, without: Collection[str]) -> int:
    """Write stamps as a bank, three rows each; return their number.

    Args:
        stamps: The stamps.
        folder: Created here.
        without: Class names; stamps with one of these in their name or sentence are left out.
    """
    folder.mkdir(parents=True)
    words = [name.replace("_", " ").lower() for name in without]
    selected = [
        stamp
        for stamp in stamps
        if not any(word in f"{stamp.name} {stamp.sentence}".lower() for word in words)
    ]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "modality", "class", "split", "text"])
        for stamp in selected:
            name = stamp.name.replace("/", "-")
            picture, sound = (f"{name}{path.suffix}" for path in (stamp.picture, stamp.sound))
            shutil.copyfile(stamp.picture, folder / picture)
            shutil.copyfile(stamp.sound, folder / sound)
            rows.writerow([picture, "image", name, "test", ""])
            rows.writerow([sound, "audio", name, "test", ""])
            rows.writerow([name, "text", name, "test", stamp.sentence])
    return len(selected)


def _download(folder: Path) -> None:
    options = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    try:
        _run(["apt-get", *options, "download", PACKAGE], folder)
    except StampsUnavailable:
        # Without `apt-get update`, a machine has no package lists: fetch them to this folder.
        (folder / "lists/partial").mkdir(parents=True)
        options += ["-o", f"Dir::State::Lists={folder.resolve() / 'lists'}"]
        options += ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
        _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", PACKAGE], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        process = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise StampsUnavailable(f"{command[0]} took more than {SECONDS} seconds") from None
    if process.returncode:
        reason = process.stderr.strip().splitlines() or [f"status {process.returncode}"]
        raise StampsUnavailable(f"{command[0]} failed: {reason[-1]}")
