"""Which data a folder holds, and what is said where it cannot be trained on."""

from pathlib import Path

import pytest

from model.config import SRCIDConfig
from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.own_media import write_media
from training.config import DataConfig, TrainConfig
from training.data.clips import ComposedClips
from training.data.extract import extract
from training.data.extracted_clips import ExtractedClips
from training.data.open import open_dataset


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, tiny_config: SRCIDConfig) -> Path:
    folder = tmp_path_factory.mktemp("own")
    extract(write_media(folder), folder / "features", tiny_config)
    return folder / "features"


def config(model: SRCIDConfig, folder: Path | None, **data: float) -> TrainConfig:
    own = DataConfig.model_validate({"folder": folder, "steps": 2, "clips_per_epoch": 4, **data})
    return TrainConfig(name="own", model=model.model_copy(update={"max_steps": 2}), data=own)


def test_a_bank_is_a_bank(tiny_run: TrainConfig, tmp_path: Path) -> None:
    clips, bank = open_dataset(tiny_run, tmp_path)
    assert isinstance(clips, ComposedClips)
    assert len(bank.classes) == 3


def test_extracted_media_is_trained_on_by_its_train_split(
    own: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    clips, bank = open_dataset(config(tiny_config, own), tmp_path)
    assert isinstance(clips, ExtractedClips)
    assert {row.file for row, _ in clips.pieces} == {
        "dog.mp4",
        "silent.mp4",
        "rain.wav",
        "still.png",
    }
    assert bank.entries == []


def test_its_validation_split_is_held_out(
    own: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    _, bank = open_dataset(config(tiny_config, own, validation=0.5), tmp_path)
    for m in Modality:
        assert [entry.label for entry in bank.select(m, "validation")] == ["bird"]


def test_features_of_other_backbones_are_refused(
    own: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    audio = tiny_config.modalities[Modality.AUDIO].model_copy(update={"backbone": "yamnet"})
    modalities = {**tiny_config.modalities, Modality.AUDIO: audio}
    model = tiny_config.model_copy(update={"modalities": modalities})
    message = r"no audio features of yamnet \(8,\), but those of tiny-audio: extract with"
    with pytest.raises(DataError, match=message):
        open_dataset(config(model, own), tmp_path)


def test_a_damaged_index_is_refused(own: Path, tiny_config: SRCIDConfig, tmp_path: Path) -> None:
    index = own / "clips.csv"
    whole = index.read_text()
    for damage, message in (
        ("shard,file\na,b\n", "is damaged"),
        (whole.replace(",3,", ",x,"), "is damaged"),
        (whole.splitlines()[0] + "\n", "has no clips"),
        (whole.replace(",train,", ",test,"), "no clips in the split `train`"),
    ):
        index.write_text(damage)
        with pytest.raises(DataError, match=message):
            open_dataset(config(tiny_config, own), tmp_path)
    index.write_text(whole)


def test_a_folder_has_to_be_named(tiny_config: SRCIDConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a folder with `--data`"):
        open_dataset(config(tiny_config, None), tmp_path)
