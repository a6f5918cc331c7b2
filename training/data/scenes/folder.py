"""The folder of composed scenes: what ``srcid scenes`` writes, and how it is read.

* ``scenes.json``: seed and counts, the bank's fingerprint, its classes, the backbones
* ``scenes.jsonl``: one scene per line (``training.data.scenes.script``)
* ``features/SET-SPLIT.safetensors``: ``audio`` and ``video`` ``[N, T, *F]``, float16, in the
  order of the lines
* ``features/text-SPLIT.safetensors``: the words ``[words, F]`` of each caption, under the caption
* ``videos``: some test scenes as mp4, where they were asked for
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model.config import FrozenModel, SRCIDConfig
from model.errors import DataError, reason_of
from model.files import atomic_write_text
from model.modality import Modality
from training.data.extracted import About, Source
from training.data.scenes.script import SECONDS, Scene, ScenesConfig

ABOUT, MANIFEST, FEATURES, VIDEOS = "scenes.json", "scenes.jsonl", "features", "videos"
VERSION = 1  # of how scenes are drawn and composed


class ScenesAbout(FrozenModel):
    """How the scenes of a folder were made."""

    version: int
    config: ScenesConfig
    bank: str  # fingerprint of its items
    classes: tuple[str, ...]
    backbones: dict[Modality, Source]


def is_scenes(folder: Path) -> bool:
    """Tell whether ``folder`` was written by ``srcid scenes``."""
    return (folder / ABOUT).is_file()


def read_about(folder: Path) -> ScenesAbout:
    """Return how the scenes of ``folder`` were made.

    Raises:
        DataError: The file is missing, damaged, or of another version.
    """
    try:
        about = ScenesAbout.model_validate_json((folder / ABOUT).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{folder / ABOUT} is missing or damaged ({reason_of(error)}): name a folder that "
            "`srcid scenes` wrote"
        ) from error
    if about.version != VERSION:
        raise DataError(
            f"{folder} has scenes of version {about.version}, this is version {VERSION}: "
            "compose them again"
        )
    return about


def check_backbones(folder: Path, model: SRCIDConfig) -> None:
    """See that ``folder`` holds the features that ``model`` takes.

    Raises:
        DataError: It holds those of other backbones.
    """
    theirs = read_about(folder).backbones
    for m, own in About.of(model, seconds=SECONDS).backbones.items():
        if theirs.get(m) != own:
            held = f"those of {theirs[m].backbone}" if m in theirs else "none"
            raise DataError(
                f"{folder} has no {m} features of {own.backbone} {own.feature_shape}, but "
                f"{held}: compose with the recipe that you train (srcid scenes --recipe NAME)"
            )


def write_manifest(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write a line a scene."""
    lines = (scene.model_dump_json() + "\n" for scene in scenes)
    atomic_write_text(folder / MANIFEST, "".join(lines))


def read_manifest(folder: Path) -> list[Scene]:
    """Return the scenes of ``folder``.

    Raises:
        DataError: A line is no scene.
    """
    path = folder / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Scene.model_validate_json(line) for line in lines]
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is missing or damaged ({reason_of(error)}): compose again"
        ) from error


def feature_file(folder: Path, name: str, split: str) -> Path:
    """Return where the features of one set (or ``text``) and split lie."""
    return folder / FEATURES / f"{name}-{split}.safetensors"


def read_features(folder: Path, name: str, split: str) -> dict[str, Tensor]:
    """Return the tensors of one set (or ``text``) and split, in float32.

    Raises:
        DataError: They are missing or damaged.
    """
    path = feature_file(folder, name, split)
    try:
        return {key: tensor.float() for key, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path}: {error}; delete it if it exists, and run `srcid scenes` again to make it"
        ) from error
