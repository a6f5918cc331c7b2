"""The clips of the demo, composed once: ``clips/*.mp4`` and ``corpus.json``."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from tqdm import tqdm

from app.demo import drawn, stamps
from app.demo.compose import write_still
from model.config import FrozenModel
from model.files import atomic_folder, atomic_write_text

Item = TypeVar("Item")

ABOUT = {
    "stamps": (
        f"pictures, sound effects and sentences of Debian's package {stamps.PACKAGE}, composed "
        "into clips here: a still picture over its sound, not a recording of the two together. "
        "The shipped checkpoint knows the classes that its backbones were trained with; other "
        "things map to the nearest known class"
    ),
    "drawn": (
        "coloured shapes moving over tones, drawn here. The shipped checkpoint knows photos and "
        "sounds of things, not shapes: they show how to use the service, not its search quality"
    ),
}


class Example(NamedTuple):
    """The first search to try with a corpus."""

    clip: str  # its id
    sentence: str


EXAMPLES = {
    "stamps": Example("violin", "someone plays the violin"),
    "drawn": Example(drawn.DRAWINGS[0].name, drawn.DRAWINGS[0].sentence),
}


class DemoClip(FrozenModel):
    """One clip of the corpus."""

    id: str  # its file is clips/<id>.mp4
    title: str
    source: str


class Corpus(FrozenModel):
    """The clips that the demo indexes."""

    kind: Literal["stamps", "drawn"]
    clips: tuple[DemoClip, ...]

    @property
    def about(self) -> str:
        """Description of the clips and of their limits."""
        return ABOUT[self.kind]

    @property
    def example(self) -> Example:
        """The first search to try."""
        return EXAMPLES[self.kind]


def prepare(folder: Path, *, say: Callable[[str], None]) -> Corpus:
    """Return the corpus of ``folder``; compose it first if it is missing.

    It consists of Debian's stamps if apt can fetch them, else of drawings. After an interruption
    it is composed again.

    Args:
        folder: Holds ``corpus.json`` and ``clips/`` afterwards.
        say: Called with a message before each step that takes seconds.
    """
    record = folder / "corpus.json"
    if record.is_file():
        return Corpus.model_validate_json(record.read_bytes())
    with (
        atomic_folder(folder / "clips") as clips,
        tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as download,
    ):
        try:
            say(f"fetching {stamps.PACKAGE} (161 MB) with apt-get download")
            corpus = _from_stamps(stamps.fetch(Path(download)), clips)
        except stamps.StampsUnavailable as reason:
            say(f"{reason}: drawing clips instead (delete {folder} to try again)")
            corpus = _from_drawings(clips)
    atomic_write_text(record, corpus.model_dump_json(indent=1) + "\n")  # last: all clips exist
    return corpus


def _from_stamps(folder: Path, clips: Path) -> Corpus:
    composed = []
    for stamp in _progress(stamps.find(folder)):
        clip = DemoClip(
            id=Path(stamp.name).name.replace("_", "-").lower(),
            title=stamp.sentence,
            source=f"{stamps.PACKAGE} (GPL-2): {stamp.name}",
        )
        write_still(clips / f"{clip.id}.mp4", picture=stamp.picture, sound=stamp.sound)
        composed.append(clip)
    return Corpus(kind="stamps", clips=tuple(composed))


def _from_drawings(clips: Path) -> Corpus:
    composed = []
    for drawing in _progress(drawn.DRAWINGS):
        drawn.write_drawing(clips / f"{drawing.name}.mp4", drawing)
        clip = DemoClip(id=drawing.name, title=drawing.sentence, source="drawn by srcid demo")
        composed.append(clip)
    return Corpus(kind="drawn", clips=tuple(composed))


def _progress(items: Sequence[Item]) -> "tqdm[Item]":
    return tqdm(items, desc="composing clips", unit="clip", leave=False)
