"""The paper's training data: every clip once an epoch, read when it is asked for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.backbones import build_backbone
from model.config import SRCIDConfig
from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    AVEL,
    AVEL_CLASSES,
    AVEL_ROWS,
    features,
    write_avel,
    write_lines,
    write_table,
)
from training.config import DataConfig, TrainConfig, WarmStartConfig
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE
from training.data.archives.vggsound_avel import VGGSoundClips, open_vggsound_avel
from training.data.open import open_dataset
from training.train import train

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
COLUMNS = ("category", "video_id", "split")


@pytest.fixture(scope="module")
def network(paper_shaped: SRCIDConfig) -> SRCIDConfig:
    return paper_shaped


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("avel")
    write_avel(root)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_avel(tmp_path)
    return tmp_path


def config(network: SRCIDConfig, **data: object) -> TrainConfig:
    own = DataConfig.model_validate({"clips_per_epoch": 1, "partial": True, **data})
    return TrainConfig(name="own", model=network, data=own, seed=3)


def numbers(clips: VGGSoundClips, epoch: int) -> list[int]:
    """Which clips an epoch has, by what the writer put into them."""
    clips.epoch = epoch
    return [round(clips[index].features[VIDEO].min().item()) for index in range(len(clips))]


def test_a_sample_is_a_clip_with_the_sentence_of_its_class(
    whole: Path, network: SRCIDConfig
) -> None:
    clips = open_vggsound_avel(whole, config(network))
    text = build_backbone("tiny-text")
    seen = set()
    for index in range(len(clips)):
        sample = clips[index]
        number = round(sample.features[VIDEO].min().item())
        seen.add(number)
        category = AVEL_ROWS[number][0]
        sound = features(number, AUDIO_SHAPE, steps=9 + number)
        expected = [sound[min(step, 8 + number)] for step in range(10)]
        np.testing.assert_array_equal(sample.features[AUDIO], np.float32(expected))
        np.testing.assert_array_equal(
            sample.features[VIDEO], np.float32(features(number, VIDEO_SHAPE))
        )
        words = text.extract([text.preprocess(f"this is {category}, and how")])[0]
        assert torch.equal(sample.features[TEXT], words)
        assert not sample.features[TEXT].is_inference()  # autograd would refuse it
        assert len(words) == 7  # all of them, of which the published list would drop most
        assert AVEL_CLASSES[sample.label] == category
    assert seen == set(range(len(AVEL_ROWS)))


def test_all_three_splits_are_trained_on_once_an_epoch(whole: Path, network: SRCIDConfig) -> None:
    clips = open_vggsound_avel(whole, config(network))
    orders = [numbers(clips, epoch) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(len(AVEL_ROWS)))
    assert len({tuple(order) for order in orders}) > 1


def test_few_clips_are_repeated_up_to_the_clips_of_an_epoch(
    whole: Path, network: SRCIDConfig
) -> None:
    clips = open_vggsound_avel(whole, config(network, clips_per_epoch=7))
    both = numbers(clips, 0) + numbers(clips, 1)
    assert len(both) == 14
    for start in (0, 5):  # rounds go on where the last epoch stopped
        assert len(set(both[start : start + 5])) == 5


def test_the_order_is_the_same_for_the_same_seed(whole: Path, network: SRCIDConfig) -> None:
    own = config(network, clips_per_epoch=40)
    one, same, other = (
        open_vggsound_avel(whole, own.model_copy(update={"seed": seed})) for seed in (1, 1, 2)
    )
    assert numbers(one, 3) == numbers(same, 3)
    assert numbers(one, 3) != numbers(other, 3)


def test_no_clip_is_read_before_it_is_asked_for(root: Path, network: SRCIDConfig) -> None:
    for path in (root / AVEL / "feature").rglob("*.zip"):
        path.write_bytes(b"damaged")
    clips = open_vggsound_avel(root, config(network))
    with pytest.raises(DataError, match=r"feature/audio/zip/.*\.zip: File is not a zip file"):
        clips[0]


def test_an_index_beyond_the_epoch_ends_a_loop(whole: Path, network: SRCIDConfig) -> None:
    clips = open_vggsound_avel(whole, config(network))
    assert len(list(iter(clips.__getitem__(index) for index in range(len(clips))))) == 5
    for index in (-1, 5):
        with pytest.raises(IndexError):
            clips[index]


def test_half_an_archive_is_refused_unless_it_is_meant(whole: Path, network: SRCIDConfig) -> None:
    own = config(network, partial=False)
    with pytest.raises(DataError, match=r"5 rows, expected about 40000.*data\.partial=tr"):
        open_vggsound_avel(whole, own)


def test_twenty_thousand_rows_are_the_broken_upload(root: Path, network: SRCIDConfig) -> None:
    rows = [(AVEL_CLASSES[n % 141], f"clip{n}", "train") for n in range(40_000)]
    table = root / AVEL / "data/vggsound-avel40k.csv"
    write_table(table, COLUMNS, rows[:20_000])
    own = config(network, partial=False)
    with pytest.raises(DataError, match=r"20000 rows.*first upload had half of them"):
        open_vggsound_avel(root, own)
    write_table(table, COLUMNS, rows)
    with pytest.raises(DataError, match=r"^80000 of 80000 files of features are missing") as caught:
        open_vggsound_avel(root, own)
    assert len(str(caught.value).split("\n")) == 12


def test_missing_files_of_both_modalities_are_one_error(root: Path, network: SRCIDConfig) -> None:
    for name in ("audio/zip/third", "video/zip/third", "video/zip/first-clip_"):
        (root / AVEL / f"feature/{name}.zip").unlink()
    with pytest.raises(DataError, match=r"^3 of 10 files") as caught:
        open_vggsound_avel(root, config(network))
    assert str(caught.value).count(".zip") == 3


@pytest.mark.parametrize("left_out", Modality)
def test_what_a_network_does_not_take_is_not_read(
    root: Path, network: SRCIDConfig, left_out: Modality
) -> None:
    modalities = {m: own for m, own in network.modalities.items() if m is not left_out}
    if left_out is not TEXT:
        shutil.rmtree(root / AVEL / "feature" / left_out)
    two = network.model_copy(update={"modalities": modalities})
    assert open_vggsound_avel(root, config(two))[0].features.keys() == modalities.keys()


def test_a_network_on_other_features_is_refused(whole: Path, tiny_config: SRCIDConfig) -> None:
    message = r"own takes audio features of tiny-audio \(8,\), but .* vggish \(128,\): train a"
    with pytest.raises(ConfigError, match=message):
        open_vggsound_avel(whole, config(tiny_config))


def test_a_network_on_features_of_another_shape_is_refused(
    whole: Path, network: SRCIDConfig
) -> None:
    sound = network.modalities[AUDIO].model_copy(update={"feature_shape": (64,)})
    narrow = network.model_copy(update={"modalities": {**network.modalities, AUDIO: sound}})
    with pytest.raises(
        ConfigError, match=r"of vggish \(64,\), but the archive holds those of vggish"
    ):
        open_vggsound_avel(whole, config(narrow))


def test_a_text_backbone_of_another_width_is_refused(whole: Path, network: SRCIDConfig) -> None:
    """Such as the weights of a larger BERT, which the user names."""
    words = network.modalities[Modality.TEXT].model_copy(update={"feature_shape": (99,)})
    wide = network.model_copy(update={"modalities": {**network.modalities, Modality.TEXT: words}})
    with pytest.raises(ConfigError, match=r"text: backbone 'tiny-text' gives .* takes \(99,\)"):
        open_vggsound_avel(whole, config(wide))


def test_validation_is_refused(whole: Path, network: SRCIDConfig) -> None:
    with pytest.raises(ConfigError, match=r"data\.validation=0\.1: .* compare checkpoints on AVE"):
        open_vggsound_avel(whole, config(network, validation=0.1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("class, number 141", "third", "train")],
            "line 2: there is no class 'class, number 141'",
        ),
        ([AVEL_ROWS[0], ("class, number 1", "third", "dev")], "line 3: unknown split 'dev'"),
        (
            [AVEL_ROWS[0], ("class, number 1", "", "train")],
            "line 3: the column 'video_id' is empty",
        ),
        ([], "no rows below its header"),
    ],
)
def test_a_malformed_table_is_refused(
    root: Path, network: SRCIDConfig, rows: list[tuple[str, str, str]], message: str
) -> None:
    write_table(root / AVEL / "data/vggsound-avel40k.csv", COLUMNS, rows)
    with pytest.raises(DataError, match=rf"vggsound-avel40k\.csv.*{message}"):
        open_vggsound_avel(root, config(network))


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (
            ("label", "prompt"),
            [("class, number 0", "a b")],
            "lacks a sentence for 140 classes, such",
        ),
        (
            ("label", "prompt"),
            [("class, number 0", "")],
            "line 2: no sentence in the second column",
        ),
        (("label",), [("class, number 0",)], "line 2: no sentence in the second column"),
        (("name", "prompt"), [("class, number 0", "a")], r"lacks the columns \['label'\]"),
        (("label", "prompt"), [(own, " ") for own in AVEL_CLASSES], "no word in the sentence"),
    ],
)
def test_malformed_sentences_are_refused(
    root: Path,
    network: SRCIDConfig,
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
    message: str,
) -> None:
    write_table(root / AVEL / "data/vggsoundCategories2Prompts.csv", columns, rows)
    with pytest.raises(DataError, match=rf"vggsoundCategories2Prompts\.csv.*{message}|{message}"):
        open_vggsound_avel(root, config(network))


def test_the_first_sentence_of_a_class_counts(root: Path, network: SRCIDConfig) -> None:
    rows = [(own, "one two three", "ignored") for own in AVEL_CLASSES]
    rows += [(own, "four", "") for own in AVEL_CLASSES]
    path = root / AVEL / "data/vggsoundCategories2Prompts.csv"
    write_table(path, ("label", "prompt", "note"), rows)
    assert len(open_vggsound_avel(root, config(network))[0].features[TEXT]) == 3


def test_a_list_of_other_classes_is_refused(root: Path, network: SRCIDConfig) -> None:
    write_lines(root / AVEL / "data/VggsoundAVEL40kCategories.txt", AVEL_CLASSES[:140])
    with pytest.raises(DataError, match=r"Categories\.txt has 140 classes, expected 141"):
        open_vggsound_avel(root, config(network))


def test_a_folder_that_holds_the_archive_is_trained_on(
    whole: Path, network: SRCIDConfig, tmp_path: Path
) -> None:
    own = config(network, folder=whole, clips_per_epoch=6).model_copy(
        update={"epochs": 2, "batch_size": 3, "warm_start": WarmStartConfig(epoch=1)}
    )
    clips, bank = open_dataset(own, tmp_path)
    assert isinstance(clips, VGGSoundClips)
    assert bank.entries == []
    checkpoint = train(own, tmp_path / "run")
    assert (checkpoint / "model.safetensors").is_file()
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert len(lines) >= 4
