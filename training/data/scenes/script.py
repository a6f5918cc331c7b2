"""A scene written down: what happens in a composed clip, and when. No picture, no sound yet.

All that composing needs stands here as numbers, so a scene and its bank always give the same clip.
"""

import math
from typing import Self

from pydantic import Field, NonNegativeInt, PositiveInt

from model.config import FrozenModel
from model.modality import Modality

SECONDS = 10  # of every scene: T steps
SPLITS = ("train", "validation", "test")
SETS: dict[str, tuple[Modality, ...]] = {
    "single": (Modality.AUDIO, Modality.VIDEO),  # one event, seen and heard: as AVE
    "many": (Modality.AUDIO, Modality.VIDEO),  # one to three, some only seen or heard: as AVVP
    "cuts": (Modality.VIDEO,),  # one class in quick cuts, nothing to hear: as UCF-101
    "sounds": (Modality.AUDIO,),  # one class over a murmur of others: as VGGSound's sound
}

Span = tuple[int, int]  # seconds: the first, and the one after the last


class Counts(FrozenModel):
    """How many scenes of one set."""

    train: NonNegativeInt = 0
    validation: NonNegativeInt = 0
    test: NonNegativeInt = 0

    def scaled(self, share: float) -> Self:
        """Return ``share`` of each, rounded up."""
        return self.model_copy(update={k: math.ceil(share * n) for k, n in self})


class ScenesConfig(FrozenModel):
    """How many scenes of which set, and what they are drawn from."""

    seed: NonNegativeInt = 0
    counts: dict[str, Counts] = Field(
        default={
            "single": Counts(train=200, validation=48, test=100),
            "many": Counts(train=500, validation=48, test=200),
            "cuts": Counts(train=120, test=80),
            "sounds": Counts(train=120, test=80),
        }
    )
    groups: NonNegativeInt = 25  # of `many`, in the test split: hard negatives of one another
    group_size: PositiveInt = 4  # scenes that differ in one event
    paraphrases: PositiveInt = 3  # captions of a scene that is trained on
    validation: float = 0.2  # part of each class's training material that only it draws from

    def scaled(self, share: float) -> Self:
        """Return these settings for ``share`` of the scenes."""
        counts = {name: own.scaled(share) for name, own in self.counts.items()}
        return self.model_copy(update={"counts": counts, "groups": math.ceil(share * self.groups)})


class Pose(FrozenModel):
    """Which part of a photo is shown."""

    zoom: float  # size of the part, 1: as much of the photo as fits
    x: float  # of the room beside the part: 0 left, 1 right
    y: float  # 0 top, 1 bottom


class Shots(FrozenModel):
    """How an event is seen: photos that move, one after another for equal times."""

    photos: tuple[str, ...]  # ids in the bank
    span: Span
    size: float  # side on the screen, of its panel's side
    x: float  # of the room beside it on the panel
    y: float
    start: Pose
    end: Pose


class Sound(FrozenModel):
    """How an event is heard: a recording, repeated as long as it takes."""

    recording: str  # id in the bank
    span: Span
    begin: float  # where in the recording, as part of its length
    level: float  # dB of full scale, root mean square


class Event(FrozenModel):
    """Something of one class that is seen, heard or both."""

    label: str
    sentences: tuple[str, ...]  # each says what it is
    shots: Shots | None
    sound: Sound | None

    @property
    def spans(self) -> dict[Modality, Span]:
        """When it happens, by modality."""
        parts = {Modality.AUDIO: self.sound, Modality.VIDEO: self.shots}
        return {m: part.span for m, part in parts.items() if part is not None}

    @property
    def span(self) -> Span:
        """When it is seen or heard or both."""
        starts, ends = zip(*self.spans.values(), strict=True)
        return min(starts), max(ends)


class Captions(FrozenModel):
    """What the sentences say of a scene; several of one kind are paraphrases."""

    whole: tuple[str, ...]
    seen: tuple[str, ...]  # none where nothing is seen
    heard: tuple[str, ...]


class Scene(FrozenModel):
    """One clip of ``SECONDS`` seconds."""

    name: str
    set: str
    split: str
    group: int | None  # scenes of a group differ in one event and nothing else
    events: tuple[Event, ...]
    crossfade: bool  # what is seen at the same time lies over one another, not side by side
    backdrop: str  # a photo, blurred beyond recognition
    noise_seed: int
    noise_level: float  # dB of full scale
    murmur: tuple[Sound, ...]  # heard all along, and no event
    captions: Captions
