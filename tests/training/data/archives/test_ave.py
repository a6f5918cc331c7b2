"""AVE: the clips that a split names, in its order, read one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    AVE,
    ave_labels,
    features,
    write_ave,
    write_h5,
)
from training.data.archives.ave import ave
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE

SHAPES = {Modality.AUDIO: AUDIO_SHAPE, Modality.VIDEO: VIDEO_SHAPE}
ORDERS = {"train": [3, 0, 6, 1], "validation": [2], "test": [5, 4]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ave")
    write_ave(root)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """An archive that a test may damage: every file but those that it writes is the whole one's."""
    (tmp_path / AVE).mkdir(parents=True)
    for path in (whole / AVE).iterdir():
        (tmp_path / AVE / path.name).symlink_to(path)
    return tmp_path


def replace(root: Path, name: str, key: str, rows: object) -> None:
    (root / AVE / name).unlink()
    write_h5(root / AVE / name, key, rows)


@pytest.mark.parametrize("split", ORDERS)
def test_a_split_has_its_clips_in_its_order(whole: Path, split: str) -> None:
    clips = ave(whole, split)
    assert len(clips) == len(ORDERS[split])
    for index, clip in enumerate(ORDERS[split]):
        for m, shape in SHAPES.items():
            np.testing.assert_array_equal(
                clips.features(index, m), np.float32(features(clip, shape))
            )


def test_labels_are_without_the_background(whole: Path) -> None:
    clips = ave(whole, "train")
    for index, clip in enumerate(ORDERS["train"]):
        expected = torch.zeros(10, 28, dtype=torch.bool)
        expected[2:5, clip] = True
        for m in SHAPES:
            assert torch.equal(clips.labels(index, m), expected)


def test_a_split_that_does_not_exist_is_refused(whole: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown split of AVE 'val': choose one of train, validation"
    ):
        ave(whole, "val")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 7], r"test_order\.h5, row 1: there is no clip 7; .* the clips 0 to 6 \(1 such rows\)"),
        ([-1, 3, -2], r"row 0: there is no clip -1.*\(2 such rows\)"),
        (np.zeros(0, dtype=np.int64), "not a list of clip numbers"),
        ([0.5, 1.0], "not a list of clip numbers"),
        ([[0], [1]], r"has shape \(2, 1\)"),
    ],
)
def test_an_order_that_names_no_clip_is_refused(root: Path, rows: object, message: str) -> None:
    replace(root, "test_order.h5", "order", rows)
    ave(root, "train")
    with pytest.raises(DataError, match=message):
        ave(root, "test")


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("audio_feature.h5", np.zeros((7, 10, 127)), r"expected \(clips, 10, 128\)"),
        ("visual_feature.h5", np.zeros((7, 10, 512)), r"expected \(clips, 10, 7, 7, 512\)"),
        ("audio_feature.h5", np.zeros((6, 10, 128)), "has features of 6 sounds, but of 7 videos"),
        ("labels.h5", ave_labels(7, 27), r"expected \(clips, 10, 29\)"),
        ("labels.h5", ave_labels(3, 28), "row 0: there is no clip 3; features and labels have the"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    root: Path, name: str, rows: object, message: str
) -> None:
    replace(root, name, "avadataset", rows)
    with pytest.raises(DataError, match=message):
        ave(root, "train")


def test_what_is_wrong_in_a_row_is_found_when_it_is_read(root: Path) -> None:
    sounds = np.stack([features(n, AUDIO_SHAPE) for n in range(7)])
    sounds[6, 3, 5] = np.nan
    labels = ave_labels(7, 28)
    labels[1, 2, 2] = 0.5
    replace(root, "audio_feature.h5", "avadataset", sounds)
    replace(root, "labels.h5", "avadataset", labels)
    clips = ave(root, "train")
    clips.features(0, Modality.AUDIO)
    clips.labels(0, Modality.AUDIO)
    with pytest.raises(DataError, match=r"audio_feature\.h5, row 6 contains NaN or infinity"):
        clips.features(2, Modality.AUDIO)
    with pytest.raises(DataError, match=r"labels\.h5, row 1: labels other than 0 and 1"):
        clips.labels(3, Modality.AUDIO)


def test_a_missing_file_is_named(root: Path) -> None:
    (root / AVE / "visual_feature.h5").unlink()
    with pytest.raises(DataError, match=r"visual_feature\.h5: .*No such file"):
        ave(root, "test")
