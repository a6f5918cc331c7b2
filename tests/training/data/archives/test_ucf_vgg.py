"""UCF-101 and VGGSound: what is one class in both, and how each is split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    AVEL,
    UCF_CLASSES,
    UCF_IDS,
    VGG_CLASSES,
    VGG_ROWS,
    features,
    write_lines,
    write_table,
    write_ucf_vgg,
    write_zip,
)
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE
from training.data.archives.ucf_vgg import ucf, vggsound_ucf

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
LISTS = Path("data/UCF101/data")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_ucf_vgg(tmp_path)
    return tmp_path


def test_line_by_line_the_lists_name_the_same_class(root: Path) -> None:
    """A class is the same number on both sides, whatever it is called."""
    seen, heard = ucf(root, "all"), vggsound_ucf(root, "all")
    assert seen.classes == heard.classes == tuple(VGG_CLASSES)
    for index, clip in enumerate(UCF_IDS):
        (label,) = seen.labels(index, VIDEO).any(0).nonzero().flatten().tolist()
        assert UCF_CLASSES[label] == clip.split("_")[1]
    for index, (category, _, _) in enumerate(VGG_ROWS):
        (label,) = heard.labels(index, AUDIO).any(0).nonzero().flatten().tolist()
        assert VGG_CLASSES[label] == category


def test_a_class_goes_on_in_every_second(root: Path) -> None:
    for clips, m in ((ucf(root, "all"), VIDEO), (vggsound_ucf(root, "all"), AUDIO)):
        labels = clips.labels(0, m)
        assert labels.shape == (10, 16)
        assert torch.equal(labels, labels[:1].expand(10, -1))
        assert labels.sum() == 10


@pytest.mark.parametrize("steps", [4, 10, 13])
def test_videos_are_filled_up_or_cut_to_ten_seconds(root: Path, steps: int) -> None:
    path = root / f"data/UCF101/feature/video/zip/{UCF_IDS[2]}.zip"
    path.unlink()
    array = features(8, VIDEO_SHAPE, steps=steps)
    write_zip(path, array)
    expected = np.float32([array[min(step, steps - 1)] for step in range(10)])
    np.testing.assert_array_equal(ucf(root, "all").features(2, VIDEO), expected)


def test_sounds_come_from_the_training_archive(root: Path) -> None:
    clips = vggsound_ucf(root, "all")
    for index in range(len(VGG_ROWS)):
        expected = np.float32(features(index, AUDIO_SHAPE))
        np.testing.assert_array_equal(clips.features(index, AUDIO), expected)


def test_groups_one_to_seven_of_ucf_are_its_test_split(root: Path) -> None:
    train, test = ({clip.id for clip in ucf(root, split).clips} for split in ("train", "test"))
    assert test == {clip for clip in UCF_IDS if int(clip[-6:-4]) <= 7}
    assert train == set(UCF_IDS) - test
    assert train
    assert test


def test_vggsound_is_split_by_its_table(root: Path) -> None:
    for split, ids in (
        ("test", ["bbbbbbbbbbb"]),
        ("train", ["-m7A_zz-q0w", "aaaaaaaaaaa"]),
        ("all", [row[1] for row in VGG_ROWS]),
    ):
        assert [clip.id for clip in vggsound_ucf(root, split).clips] == ids


def test_other_splits_are_refused(root: Path) -> None:
    for opened in (ucf, vggsound_ucf):
        with pytest.raises(ConfigError, match="'validation': choose one of all, train, test"):
            opened(root, "validation")


def test_a_clip_without_a_group_can_only_be_taken_with_all(root: Path) -> None:
    table = root / LISTS / "ucf2vggsound.csv"
    write_table(table, ("category", "video_id"), [("PlayingThing0", UCF_IDS[0][:-4])])
    write_zip(
        root / f"data/UCF101/feature/video/zip/{UCF_IDS[0][:-4]}.zip", np.zeros((1, 7, 7, 512))
    )
    assert len(ucf(root, "all")) == 1
    with pytest.raises(DataError, match=r"ucf2vggsound\.csv, line 2: .* does not end in a group"):
        ucf(root, "test")


def test_malformed_lists_are_refused(root: Path) -> None:
    columns = ("category", "video_id", "split")
    table = root / LISTS / "vggsound2ucf.csv"
    write_table(table, columns, [("PlayingThing0", "aaaaaaaaaaa", "train")])  # UCF-101's name
    with pytest.raises(DataError, match=r"line 2: there is no class 'PlayingThing0'"):
        vggsound_ucf(root, "all")
    write_table(table, columns, [("playing thing 0", "aaaaaaaaaaa", "dev")])
    with pytest.raises(DataError, match="line 2: unknown split 'dev'; expected train, val or test"):
        vggsound_ucf(root, "test")
    write_lines(root / LISTS / "VGGSoundsameUCF101.txt", VGG_CLASSES[:15])
    for opened in (ucf, vggsound_ucf):
        with pytest.raises(DataError, match=r"VGGSoundsameUCF101\.txt has 15 classes, expected 16"):
            opened(root, "all")


def test_missing_sounds_are_counted(root: Path) -> None:
    (root / AVEL / "feature/audio/zip/aaaaaaaaaaa.zip").unlink()
    assert len(vggsound_ucf(root, "test")) == 1
    with pytest.raises(DataError, match=r"1 of 3 files .*\n.*aaaaaaaaaaa\.zip"):
        vggsound_ucf(root, "all")
