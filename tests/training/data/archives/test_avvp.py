"""AVVP: the seconds of a row as they stand in its table, and rows that cannot be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    AVVP_CLASSES,
    AVVP_COLUMNS,
    AVVP_ROWS,
    features,
    write_avvp,
    write_table,
)
from training.data.archives.avvp import avvp, read_clips
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE
from training.data.archives.zipped_clips import Event

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
KINDS = {AUDIO: "audio", VIDEO: "visual"}
SHAPES = {AUDIO: AUDIO_SHAPE, VIDEO: VIDEO_SHAPE}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("avvp")
    write_avvp(root)
    return root


def by_loops(row: tuple[str, str, str, str]) -> Tensor:
    """The labels ``[10, 25]`` of a row, second by second."""
    _, names, onsets, offsets = row
    labels = torch.zeros(10, len(AVVP_CLASSES), dtype=torch.bool)
    for name, onset, offset in zip(
        names.split(","), onsets.split(","), offsets.split(","), strict=True
    ):
        for second in range(10):
            if int(onset) <= second < int(offset):
                labels[second, AVVP_CLASSES.index(name)] = True
    return labels


def test_each_modality_has_the_clips_of_its_table(root: Path) -> None:
    for m, kind in KINDS.items():
        clips = avvp(root, m, "all")
        assert clips.modalities == (m,)
        assert clips.classes == tuple(AVVP_CLASSES)
        assert len(clips) == len(AVVP_ROWS[kind])
        for index, row in enumerate(AVVP_ROWS[kind]):
            expected = np.float32(features(index, SHAPES[m]))
            np.testing.assert_array_equal(clips.features(index, m), expected)
            assert torch.equal(clips.labels(index, m), by_loops(row))


def test_an_event_does_not_erase_an_earlier_one_of_its_class(root: Path) -> None:
    labels = avvp(root, AUDIO, "all").labels(0, AUDIO)
    speech, violin = labels[:, 0].int().tolist(), labels[:, 1].int().tolist()
    assert speech == [1, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert violin == [1, 1, 1, 1, 1, 0, 1, 1, 0, 1]


def test_a_file_has_the_first_eleven_letters_of_a_row_as_its_name(root: Path) -> None:
    ids = [clip.id for clip in avvp(root, AUDIO, "all").clips]
    assert ids[:3] == ["IgN7v8nWmx8", "a_b_c_d_e_f", "P7x4FV4lg_5"]


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    columns = ("filename", "onset", "offset", "event_labels")
    path = tmp_path / "table.csv"
    write_table(path, columns, [("abcdefghijk_0_10", "2", "5", "Dog")], delimiter="\t")
    (clip,) = read_clips(path, ("Cat", "Dog"))
    assert clip.events == (Event(1, 2, 5),)


def test_no_video_is_in_both_halves_in_whichever_modality(root: Path) -> None:
    halves = {
        split: {clip.id for m in KINDS for clip in avvp(root, m, split).clips}
        for split in ("train", "test")
    }
    assert all(halves.values())
    assert not halves["train"] & halves["test"]
    for m in KINDS:
        whole = [clip.id for clip in avvp(root, m, "all").clips]
        parts = [clip.id for half in halves for clip in avvp(root, m, half).clips]
        assert sorted(whole) == sorted(parts)
    with pytest.raises(
        ConfigError, match="unknown split of AVVP 'val': choose one of all, train, test"
    ):
        avvp(root, AUDIO, "val")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Dog,Cat", "0,1", "2"), "2 labels, 2 onsets and 1 offsets"),
        (("Dog", "0,1", "2,3"), "1 labels, 2 onsets and 2 offsets"),
        (("Cow", "0", "2"), "there is no class 'Cow' in the list of 2"),
        (("Dog,", "0,1", "2,3"), "there is no class '' in the list"),
        (("", "0", "2"), "the column 'event_labels' is empty"),
        (("", "", ""), "the column 'event_labels' is empty"),
        (("Dog", "5", "5"), "Dog ends at 5, but begins at 5"),
        (("Dog,Cat", "0,6", "3,4"), "Cat ends at 4, but begins at 6"),
        (("Dog", "0", "11"), "'11' is not a second from 0 to 10"),
        (("Dog", "-1", "3"), "'-1' is not a second"),
        (("Dog", "0.5", "3"), "'0.5' is not a second"),
        (("Dog", "0", "ten"), "'ten' is not a second"),
    ],
)
def test_a_row_that_cannot_be_is_refused(
    tmp_path: Path, row: tuple[str, str, str], message: str
) -> None:
    path = tmp_path / "table.csv"
    good = ("abcdefghijk_0_10", "Dog,Cat", "0, 3", "3,10")
    write_table(path, AVVP_COLUMNS, [good, ("lmnopqrstuv_0_10", *row)], delimiter="\t")
    with pytest.raises(DataError, match=message) as caught:
        read_clips(path, ("Cat", "Dog"))
    assert str(caught.value).startswith(f"{path}, line 3: ")


def test_commas_between_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, AVVP_COLUMNS, [("abcdefghijk_0_10", "Dog", "0", "3")])
    with pytest.raises(DataError, match=r"lacks the columns .*separated by '\\t'"):
        read_clips(path, ("Dog",))


def test_a_list_of_other_classes_is_refused(tmp_path: Path) -> None:
    write_avvp(tmp_path)
    names = tmp_path / "data/AVVP/data/AVVP_Categories.txt"
    names.write_text("\n".join(AVVP_CLASSES[:-1]))
    with pytest.raises(DataError, match=r"AVVP_Categories\.txt has 24 classes, expected 25"):
        avvp(tmp_path, AUDIO, "all")


def test_missing_features_are_counted(tmp_path: Path) -> None:
    write_avvp(tmp_path)
    store = tmp_path / "data/AVVP/feature/video/zip"
    for path in list(store.iterdir())[:3]:
        path.unlink()
    avvp(tmp_path, AUDIO, "all")
    with pytest.raises(DataError, match=r"^3 of 7 files of features are missing"):
        avvp(tmp_path, VIDEO, "all")
