"""VGGSound-AVEL 40k: what the paper's networks are trained on.

Source: Zhou et al., TPAMI 2022 (VGGSound-AVEL); a sentence a class by Xia et al., NeurIPS 2023.
Shape letters: T steps, F feature dim.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from model.config import SRCIDConfig
from model.encoder import load_backbone
from model.errors import ConfigError, DataError, MediaError
from model.modality import Modality
from training.config import DataConfig, TrainConfig
from training.data.archives.feature_store import (
    AUDIO_SHAPE,
    VIDEO_SHAPE,
    FeatureStore,
    check_files,
)
from training.data.archives.listing import class_index, read_names, read_table
from training.data.rounds import Rounds
from training.data.sample import Sample

FOLDER = Path("data/vggsound40k")
CLASSES = 141
SPLITS = ("train", "val", "test")
MIN_ROWS = 38_000  # "40k" is a round number; the first upload had half of it
BACKBONES = {Modality.AUDIO: "vggish", Modality.VIDEO: "vgg19"}
SHAPES = {Modality.AUDIO: AUDIO_SHAPE, Modality.VIDEO: VIDEO_SHAPE}


class AVELClip(NamedTuple):
    """One clip."""

    id: str  # name of its files
    label: int  # class index


class Listing(NamedTuple):
    """What the archive's tables say."""

    clips: tuple[AVELClip, ...]
    prompts: tuple[str, ...]  # a sentence a class


class VGGSoundClips(Dataset[Sample]):
    """All clips of the archive, read from their zips when they are asked for.

    An epoch has each of them once, and then again up to ``data.clips_per_epoch``, in an order
    that is the same for the same seed. The text of a clip is the sentence of its class.

    Args:
        stores: Of each modality that the network takes.
        prompts: ``[words, F]`` a class; empty where the network takes no text.
        clips: Its clips.
        data: How many make an epoch.
        seed: Of the order.
    """

    def __init__(
        self,
        stores: Mapping[Modality, FeatureStore],
        prompts: Sequence[Tensor],
        clips: Sequence[AVELClip],
        *,
        data: DataConfig,
        seed: int,
    ) -> None:
        self.stores, self.prompts, self.clips = stores, prompts, clips
        self.data, self.epoch = data, 0
        self._rounds = Rounds(len(clips), seed=seed)

    def __len__(self) -> int:
        return max(len(self.clips), self.data.clips_per_epoch)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        clip = self.clips[self._rounds[self.epoch * len(self) + index]]
        features = {m: store.load(clip.id) for m, store in self.stores.items()}
        if self.prompts:
            features[Modality.TEXT] = self.prompts[clip.label]
        return Sample(features, clip.label)


def is_archive(root: Path) -> bool:
    """Tell whether ``root`` holds the archive."""
    return (root / FOLDER).is_dir()


def open_vggsound_avel(root: Path, config: TrainConfig) -> VGGSoundClips:
    """Open the archive for training: its train, val and test rows, as the paper's authors do.

    Args:
        root: Holds ``data/vggsound40k``.
        config: The run. The sentences pass the text backbone of its network, once.

    Raises:
        ConfigError: The network takes features of other backbones, or ``data.validation`` is set.
        DataError: Files are missing or malformed, or rows are missing and ``data.partial`` is not
            set.
    """
    _check_config(config)
    listing = read_listing(root, is_partial=config.data.partial)
    stores = {
        m: FeatureStore(root / FOLDER / "feature" / m / "zip", SHAPES[m])
        for m in config.model.modalities
        if m in SHAPES
    }
    check_files({store: [clip.id for clip in listing.clips] for store in stores.values()})
    prompts = _prompt_features(listing.prompts, config.model)
    return VGGSoundClips(stores, prompts, listing.clips, data=config.data, seed=config.seed)


def _check_config(config: TrainConfig) -> None:
    for m, own in config.model.modalities.items():
        if m in SHAPES and (own.backbone, own.feature_shape) != (BACKBONES[m], SHAPES[m]):
            raise ConfigError(
                f"{config.name} takes {m} features of {own.backbone} {own.feature_shape}, but the "
                f"archive holds those of {BACKBONES[m]} {SHAPES[m]}: train a recipe of the paper"
            )
    if config.data.validation:
        raise ConfigError(
            f"data.validation={config.data.validation}: the archive has no validation split; "
            "leave it 0, and compare checkpoints on AVE, as the paper's authors did"
        )


def read_listing(root: Path, *, is_partial: bool) -> Listing:
    """Return what the archive's tables say.

    Args:
        root: Holds ``data/vggsound40k``.
        is_partial: Fewer clips than were published are meant.

    Raises:
        DataError: A table is missing or malformed, or clips are missing.
    """
    folder = root / FOLDER / "data"
    classes = read_names(folder / "VggsoundAVEL40kCategories.txt", count=CLASSES)
    path = folder / "vggsound-avel40k.csv"
    rows = read_table(path, ("category", "video_id", "split"))
    if len(rows) < MIN_ROWS and not is_partial:
        raise DataError(
            f"{path} has {len(rows)} rows, expected about 40000. The archive's first upload had "
            "half of them, which costs ten points on AVE: download the corrected table, or set "
            "data.partial=true to train on a part"
        )
    for row in rows:
        if row.values["split"] not in SPLITS:
            raise DataError(
                f"{row.source}: unknown split {row.values['split']!r}; expected {', '.join(SPLITS)}"
            )
    clips = tuple(
        AVELClip(
            row.values["video_id"],
            class_index(classes, row.values["category"], source=row.source),
        )
        for row in rows
    )
    return Listing(clips, _read_prompts(folder / "vggsoundCategories2Prompts.csv", classes))


def _read_prompts(path: Path, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence of each class: the column after ``label``."""
    rows = read_table(path, ("label",))
    found: dict[str, str] = {}
    for row in rows:
        sentence = list(row.values.values())[1:2]
        if not sentence or not sentence[0]:
            raise DataError(f"{row.source}: no sentence in the second column")
        found.setdefault(row.values["label"], sentence[0])
    missing = [name for name in classes if name not in found]
    if missing:
        raise DataError(f"{path} lacks a sentence for {len(missing)} classes, such as {missing[0]}")
    return tuple(found[name] for name in classes)


def _prompt_features(prompts: Sequence[str], model: SRCIDConfig) -> list[Tensor]:
    """Return ``[words, F]`` for each sentence: all its words, where the authors drop many."""
    if Modality.TEXT not in model.modalities:
        return []
    backbone = load_backbone(model, Modality.TEXT)
    try:
        # Cloned, since what inference mode made cannot take part in training.
        return [backbone.extract([backbone.preprocess(own)])[0].clone() for own in prompts]
    except MediaError as error:
        raise DataError(f"a sentence of vggsoundCategories2Prompts.csv: {error}") from error
