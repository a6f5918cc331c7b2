"""The data of a run, from whichever kind of folder the user names."""

from pathlib import Path
from typing import NamedTuple

from model.config import SRCIDConfig
from model.encoder import load_backbones
from model.errors import ConfigError, DataError
from model.modality import Modality
from training.config import TrainConfig
from training.data.archives.vggsound_avel import VGGSoundClips, is_archive, open_vggsound_avel
from training.data.bank import Bank, load_bank
from training.data.clips import ComposedClips
from training.data.extracted import is_extracted, read_index
from training.data.extracted_clips import (
    ExtractedClips,
    extracted_bank,
    validation_bank,
    validation_split,
)
from training.data.named import NamedClips, real_clips
from training.data.scenes.clips import SceneClips, open_scenes, scene_bank
from training.data.scenes.folder import check_backbones, is_scenes
from training.data.sentences import TextVectors


class TrainingData(NamedTuple):
    """What is trained on, and what is validated on."""

    clips: ComposedClips | NamedClips | ExtractedClips | SceneClips | VGGSoundClips
    bank: Bank  # its validation split is empty where ``data.validation`` is 0


def open_dataset(config: TrainConfig, cache: Path) -> TrainingData:
    """Open ``data.folder``: media that was extracted, scenes, the paper's archives, or a bank.

    Args:
        config: The run.
        cache: Folder where a bank's features are kept from run to run.

    Raises:
        ConfigError: No folder is named.
        DataError: It is malformed, or was not made for this network.
    """
    data = config.data
    if data.folder is None:
        raise ConfigError("no training data: name a folder with `--data`")
    if is_extracted(data.folder):
        return _open_extracted(config, data.folder)
    if is_archive(data.folder):
        return TrainingData(open_vggsound_avel(data.folder, config), Bank([], {}))
    if is_scenes(data.folder):
        return _open_scenes(config, data.folder)
    bank = load_bank(data.folder, config.model, views=data.views, cache=cache)
    bank = bank.with_validation(data.validation)
    if data.imagined:
        return TrainingData(_named(config, bank), bank)
    return TrainingData(ComposedClips(bank, data, seed=config.seed), bank)


def open_bank(folder: Path, model: SRCIDConfig, cache: Path) -> Bank:
    """Open items to evaluate: a bank, or media that ``srcid extract`` wrote.

    Args:
        folder: Either.
        model: The network that they are for.
        cache: Folder where a bank's features are kept from run to run.

    Raises:
        DataError: It is malformed, or was not made for this network.
    """
    if is_extracted(folder):
        return extracted_bank(folder, read_index(folder, model), steps=model.max_steps)
    return load_bank(folder, model, views=1, cache=cache)


def _open_extracted(config: TrainConfig, folder: Path) -> TrainingData:
    rows = read_index(folder, config.model)
    train, held_out = validation_split(rows, config.data.validation)
    if not train:
        raise DataError(f"{folder} has no clips in the split `train`: assign some in the CSV")
    clips = ExtractedClips(folder, train, config.data, seed=config.seed)
    return TrainingData(clips, validation_bank(folder, held_out, steps=config.data.steps))


def _open_scenes(config: TrainConfig, folder: Path) -> TrainingData:
    check_backbones(folder, config.model)
    scenes = open_scenes(folder)
    held_out = (
        scene_bank(scenes, steps=config.data.steps) if config.data.validation else Bank((), {})
    )
    return TrainingData(SceneClips(scenes, config.data, seed=config.seed), held_out)


def _named(config: TrainConfig, bank: Bank) -> NamedClips:
    backbones = load_backbones(config.model, "cpu")
    text = TextVectors(backbones[Modality.TEXT])
    folder = config.data.clips
    rows = read_index(folder, config.model) if folder else []
    clips = real_clips(folder, rows, text) if folder else []
    return NamedClips(bank, backbones, text, config.data, seed=config.seed, clips=clips)
