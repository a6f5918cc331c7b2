"""AVE to AVVP: two data sets with the same twelve classes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    SHARED_CLASSES,
    ave_labels,
    features,
    write_ave,
    write_ave_avvp,
    write_avvp,
    write_h5,
)
from training.data.archives.ave_avvp import ave_of_avvp, avvp_of_ave
from training.data.archives.feature_store import AUDIO_SHAPE

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for write in (write_ave, write_avvp, write_ave_avvp):
        write(tmp_path)
    return tmp_path


def test_both_sides_have_the_same_classes(root: Path) -> None:
    sides = [ave_of_avvp(root), avvp_of_ave(root, AUDIO), avvp_of_ave(root, VIDEO)]
    assert {side.classes for side in sides} == {tuple(SHARED_CLASSES)}


def test_ave_gives_the_clips_of_the_order_with_labels_of_their_own(root: Path) -> None:
    clips = ave_of_avvp(root)
    assert len(clips) == 2
    for index, clip in enumerate((1, 4)):
        expected = np.float32(features(clip, AUDIO_SHAPE))
        np.testing.assert_array_equal(clips.features(index, AUDIO), expected)
        labels = torch.zeros(10, 12, dtype=torch.bool)
        labels[2:5, clip] = True
        assert torch.equal(clips.labels(index, VIDEO), labels)


def test_avvp_gives_its_features_with_the_shared_classes(root: Path) -> None:
    for m in (AUDIO, VIDEO):
        clips = avvp_of_ave(root, m)
        assert clips.features(0, m)[0].flatten()[0] == (2 if m is AUDIO else 1)
        speech, dog, *others = clips.labels(0, m).int().T.tolist()
        assert speech == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
        assert dog == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        assert not np.any(others)


def test_labels_of_fewer_clips_than_the_order_names_are_refused(root: Path) -> None:
    write_h5(root / "data/AVE_AVVP/ave_avvp_labels.h5", "avadataset", ave_labels(4, 12))
    with pytest.raises(DataError, match=r"ave_avvp_order\.h5, row 1: there is no clip 4"):
        ave_of_avvp(root)


def test_labels_of_other_classes_are_refused(root: Path) -> None:
    write_h5(root / "data/AVE_AVVP/ave_avvp_labels.h5", "avadataset", ave_labels(7, 28))
    with pytest.raises(DataError, match=r"ave_avvp_labels\.h5: .* expected \(clips, 10, 13\)"):
        ave_of_avvp(root)
