"""Clips with the sentences that describe them: MSCOCO, Clotho, MSR-VTT.

Shape letters: T steps, F feature dim.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError
from torch import Tensor

from model.errors import DataError
from model.modality import Modality
from training.data.archives.feature_store import (
    AUDIO_SHAPE,
    VIDEO_SHAPE,
    FeatureStore,
    check_files,
)
from training.data.archives.listing import read_table

CLOTHO_CAPTIONS = tuple(f"caption_{number}" for number in range(1, 6))
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@dataclass
class CaptionedZips:
    """Clips, a zip each, as long as they are, with their captions (``CaptionedClips``).

    Raises:
        DataError: Files of them are missing.
    """

    name: str
    modality: Modality
    store: FeatureStore
    clips: tuple[tuple[str, tuple[str, ...]], ...]  # id, captions

    def __post_init__(self) -> None:
        check_files({self.store: [clip for clip, _ in self.clips]})

    def __len__(self) -> int:
        return len(self.clips)

    def features(self, index: int) -> Tensor:
        """Return ``[T, *F]`` float32."""
        return self.store.load(self.clips[index][0])

    def captions(self, index: int) -> tuple[str, ...]:
        """Return the sentences of a clip; at least one."""
        return self.clips[index][1]


class Annotation(BaseModel):
    """A caption of MSCOCO."""

    image_id: int = Field(ge=0)
    caption: Sentence


class Annotations(BaseModel):
    """A file of MSCOCO's captions."""

    annotations: list[Annotation] = Field(min_length=1)


def mscoco(root: Path) -> CaptionedZips:
    """Open the pictures of MSCOCO with their captions.

    Args:
        root: Holds ``data/MSCOCO``.

    Raises:
        DataError: A file is missing or malformed.
    """
    folder = root / "data/MSCOCO"
    path = folder / "val_part_1.json"
    try:
        found = Annotations.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError too
        raise DataError(f"{path}: {_first(error)}") from error
    pairs = ((f"{own.image_id:012d}", own.caption) for own in found.annotations)
    store = FeatureStore(folder / "feature/zip", VIDEO_SHAPE, steps=None)
    return CaptionedZips("MSCOCO", Modality.VIDEO, store, _by_clip(pairs))


def clotho(root: Path, *, as_published: bool = False) -> CaptionedZips:
    """Open the sounds of Clotho's evaluation split with five captions each.

    Args:
        root: Holds ``data/clotho2.1``.
        as_published: Only the first fifth of the clips, since the published loader counts the
            clips where it means the captions.

    Raises:
        DataError: A file is missing or malformed.
    """
    folder = root / "data/clotho2.1"
    rows = read_table(folder / "clotho_captions_evaluation.csv", ("file_name", *CLOTHO_CAPTIONS))
    for row in rows:
        if not row.values["file_name"].endswith(".wav"):
            raise DataError(
                f"{row.source}: {row.values['file_name']!r} is not the name of a .wav file"
            )
    if as_published:
        rows = rows[: len(rows) // len(CLOTHO_CAPTIONS)]
    pairs = (
        (row.values["file_name"].removesuffix(".wav"), row.values[name])
        for row in rows
        for name in CLOTHO_CAPTIONS
    )
    store = FeatureStore(folder / "feature/zip", AUDIO_SHAPE, steps=None)
    return CaptionedZips("Clotho", Modality.AUDIO, store, _by_clip(pairs))


def msrvtt(root: Path) -> CaptionedZips:
    """Open the thousand videos of MSR-VTT's test split "1k-A" with a caption each.

    Args:
        root: Holds ``data/MSRVTT``.

    Raises:
        DataError: A file is missing or malformed.
    """
    folder = root / "data/MSRVTT"
    rows = read_table(folder / "MSRVTT_JSFUSION_test.csv", ("video_id", "sentence"))
    pairs = ((row.values["video_id"], row.values["sentence"]) for row in rows)
    store = FeatureStore(folder / "feature/zip", VIDEO_SHAPE, steps=None)
    return CaptionedZips("MSR-VTT", Modality.VIDEO, store, _by_clip(pairs))


def _by_clip(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each clip once, in the order of ``pairs``, with all its captions."""
    clips: dict[str, tuple[str, ...]] = {}
    for clip, caption in pairs:
        clips[clip] = (*clips.get(clip, ()), caption)
    return tuple(clips.items())


def _first(error: OSError | ValueError) -> str:
    """Return what is wrong, and where in the file."""
    if not isinstance(error, ValidationError):
        return f"{error}; expected is MSCOCO's JSON of captions"
    found = error.errors()[0]
    place = " ".join(map(str, found["loc"]))  # such as: annotations 17 caption
    return f"{place}: {found['msg']} ({error.error_count()} such places)"
