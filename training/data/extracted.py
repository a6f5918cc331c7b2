"""A folder of extracted features: what ``srcid extract`` writes and training reads.

* ``extracted.json``: the backbones whose features these are, and how the media was decoded
* ``clips/*.safetensors``: one file per clip: ``audio`` and ``video`` ``[T, *F]``, ``text/0``,
  ``text/1``, ... ``[words, F]``, a tensor a caption; what a clip lacks is left out
* ``clips.csv``: one row per clip, written when all are done
* ``failed.csv``: the files of which nothing could be had, and why
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.config import FrozenModel, PretrainedBackbone, SRCIDConfig
from model.errors import DataError, reason_of
from model.modality import Modality

ABOUT, CLIPS, INDEX, FAILED = "extracted.json", "clips", "clips.csv", "failed.csv"


class Source(FrozenModel):
    """Which features of one modality a folder holds."""

    backbone: str | PretrainedBackbone
    feature_shape: tuple[int, ...]


class About(FrozenModel):
    """How the features of a folder were made; they are good for nothing else."""

    backbones: dict[Modality, Source]
    seconds: int  # of each file, at most

    @classmethod
    def of(cls, model: SRCIDConfig, *, seconds: int) -> "About":
        """Return what a folder for ``model`` has to hold."""
        sources = {
            m: Source(backbone=own.backbone, feature_shape=own.feature_shape)
            for m, own in model.modalities.items()
        }
        return cls(backbones=sources, seconds=seconds)


class ClipRow(NamedTuple):
    """A row of ``clips.csv``."""

    shard: str  # name in ``clips``
    file: str  # the media, as its source named it
    label: str  # "": unknown
    split: str
    audio: int  # steps, 0: none
    video: int  # steps, 0: none
    captions: int

    @property
    def steps(self) -> int:
        """The longer one of sound and picture."""
        return max(self.audio, self.video)


def is_extracted(folder: Path) -> bool:
    """Tell whether ``folder`` was written by ``srcid extract``."""
    return (folder / ABOUT).is_file()


def read_about(folder: Path) -> About:
    """Return how the features of ``folder`` were made.

    Raises:
        DataError: The file is damaged, or of another version.
    """
    try:
        return About.model_validate_json((folder / ABOUT).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{folder / ABOUT} is damaged ({reason_of(error)}): extract again"
        ) from error


def read_index(folder: Path, model: SRCIDConfig) -> list[ClipRow]:
    """Return the clips of ``folder``, whose features must be those that ``model`` takes.

    Raises:
        DataError: They are of other backbones, extraction has not finished, or nothing is there.
    """
    theirs = read_about(folder).backbones
    for m, own in About.of(model, seconds=1).backbones.items():
        if theirs.get(m) != own:
            held = f"those of {theirs[m].backbone}" if m in theirs else "none"
            raise DataError(
                f"{folder} has no {m} features of {own.backbone} {own.feature_shape}, but "
                f"{held}: extract with the recipe that you train (srcid extract --recipe NAME)"
            )
    if not (folder / INDEX).is_file():
        raise DataError(
            f"{folder / INDEX} is missing: extraction has not finished; run `srcid extract` again"
        )
    with (folder / INDEX).open(newline="", encoding="utf-8") as file:
        try:
            rows = [_row(row) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder / INDEX} is damaged ({error}): extract again") from error
    if not rows:
        raise DataError(f"{folder} has no clips: {folder / FAILED} says why")
    return rows


def _row(row: dict[str, Any]) -> ClipRow:
    numbers = {name: int(row[name]) for name in ("audio", "video", "captions")}
    return ClipRow(**{name: numbers.get(name, row[name]) for name in ClipRow._fields})


def read_piece(
    folder: Path, row: ClipRow, *, start: int, stop: int, caption: int | None
) -> dict[Modality, Tensor]:
    """Return what a clip has from step ``start`` to ``stop``, and one of its captions.

    Raises:
        DataError: The clip's file is missing or damaged.
    """
    features: dict[Modality, Tensor] = {}
    with open_shard(folder / CLIPS / row.shard) as file:
        if start < row.audio:
            features[Modality.AUDIO] = file.get_slice("audio")[start:stop]
        if start < row.video:
            features[Modality.VIDEO] = file.get_slice("video")[start:stop]
        if caption is not None:
            features[Modality.TEXT] = file.get_tensor(f"text/{caption}")
    return features


@contextmanager
def open_shard(path: Path) -> Iterator[safe_open]:
    """Open the file of a clip.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: {error}; delete it and run `srcid extract` again") from error
