"""Scenes as the data of a run."""

from pathlib import Path

import pytest

from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from training.config import DataConfig, TrainConfig
from training.data.open import open_dataset
from training.data.scenes.clips import SceneClips
from training.recipes import recipe


def run_on(folder: Path, model: SRCIDConfig, *, validation: float) -> TrainConfig:
    data = DataConfig(folder=folder, clips_per_epoch=8, validation=validation)
    return TrainConfig(name="tiny", model=model, data=data, batch_size=4)


def test_a_folder_of_scenes_is_trained_on(scenes_folder: Path, tiny_config: SRCIDConfig) -> None:
    config = run_on(scenes_folder, tiny_config, validation=0)
    data = open_dataset(config, cache=scenes_folder / "none")
    assert isinstance(data.clips, SceneClips)
    assert data.clips[0].features.keys() == set(Modality)
    assert data.bank.entries == []


def test_validation_is_on_the_scenes_that_are_there_for_it(
    scenes_folder: Path, tiny_config: SRCIDConfig
) -> None:
    config = run_on(scenes_folder, tiny_config, validation=0.1)
    bank = open_dataset(config, cache=scenes_folder / "none").bank
    assert {entry.split for entry in bank.entries} == {"validation"}
    bank.check_split("validation", Modality)


def test_another_network_s_scenes_are_refused(scenes_folder: Path) -> None:
    other = recipe("compact").model.model_copy(update={"max_steps": 10})
    config = run_on(scenes_folder, other, validation=0)
    with pytest.raises(DataError, match="has no audio features of yamnet"):
        open_dataset(config, cache=scenes_folder / "none")
