"""The demo's clips, made once and kept: ``clips/*.mp4`` beside ``corpus.json``."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from tqdm import tqdm

from app.demo import drawn, stamps
from app.demo.compose import write_still
from model.config import FrozenModel

Item = TypeVar("Item")

ABOUT = {
    "stamps": (
        f"pictures, sound effects and sentences of Debian's package {stamps.PACKAGE}, composed "
        "into clips here: a still picture over its sound, not a recording of the two together. "
        "The shipped checkpoint knows things by the names of the classes that its backbones were "
        "trained with; what has no name among these is described by what is like it"
    ),
    "drawn": (
        "coloured shapes moving over tones, drawn here. The shipped checkpoint knows photos and "
        "sounds of things and no shapes: they show how the service is used, not how well it finds"
    ),
}


class Example(NamedTuple):
    """What to try first with a corpus."""

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
    """What the demo indexes."""

    kind: Literal["stamps", "drawn"]
    clips: tuple[DemoClip, ...]

    @property
    def about(self) -> str:
        """What the clips are, and what they are not."""
        return ABOUT[self.kind]

    @property
    def example(self) -> Example:
        """What to try first."""
        return EXAMPLES[self.kind]


def prepare(folder: Path, *, say: Callable[[str], None]) -> Corpus:
    """Return the corpus of ``folder``, which is made where it is not there yet.

    Debian's stamps where apt can fetch them, else drawings. An interrupted run leaves nothing
    that a later one takes for whole.

    Args:
        folder: Holds ``corpus.json`` and ``clips/`` afterwards.
        say: Called with a sentence at each step that takes seconds.
    """
    record = folder / "corpus.json"
    if record.is_file():
        return Corpus.model_validate_json(record.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as temporary:
        clips = Path(temporary) / "clips"
        clips.mkdir()
        try:
            say(f"fetching {stamps.PACKAGE} (161 MB) with apt-get download")
            corpus = _from_stamps(stamps.fetch(Path(temporary)), clips)
        except stamps.StampsUnavailable as reason:
            say(f"{reason}: drawing clips instead (delete {folder} to try again)")
            corpus = _from_drawings(clips)
        (clips.parent / record.name).write_text(corpus.model_dump_json(indent=1) + "\n")
        shutil.rmtree(folder / clips.name, ignore_errors=True)
        clips.rename(folder / clips.name)
        (clips.parent / record.name).rename(record)  # last: it says that all is there
    return corpus


def _from_stamps(folder: Path, clips: Path) -> Corpus:
    made = []
    for stamp in _progress(stamps.find(folder)):
        clip = DemoClip(
            id=Path(stamp.name).name.replace("_", "-").lower(),
            title=stamp.sentence,
            source=f"{stamps.PACKAGE} (GPL-2): {stamp.name}",
        )
        write_still(clips / f"{clip.id}.mp4", picture=stamp.picture, sound=stamp.sound)
        made.append(clip)
    return Corpus(kind="stamps", clips=tuple(made))


def _from_drawings(clips: Path) -> Corpus:
    made = []
    for drawing in _progress(drawn.DRAWINGS):
        drawn.write_drawing(clips / f"{drawing.name}.mp4", drawing)
        made.append(DemoClip(id=drawing.name, title=drawing.sentence, source="drawn by srcid demo"))
    return Corpus(kind="drawn", clips=tuple(made))


def _progress(items: Sequence[Item]) -> "tqdm[Item]":
    return tqdm(items, desc="composing clips", unit="clip", leave=False)
