"""Pictures, sounds and videos with the sentences that describe them."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from model.modality import Modality
from tests.training.data.archives.published import (
    features,
    write_clotho,
    write_mscoco,
    write_msrvtt,
    write_table,
)
from training.data.archives.captions import clotho, mscoco, msrvtt
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE


def test_a_picture_has_all_its_captions(tmp_path: Path) -> None:
    write_mscoco(tmp_path)
    clips = mscoco(tmp_path)
    assert (len(clips), clips.modality) == (2, Modality.VIDEO)
    assert clips.captions(0) == ("a room with chairs", "a tv in a room")
    assert clips.captions(1) == ("a bear",)
    expected = np.float32(features(1, VIDEO_SHAPE, steps=1))
    np.testing.assert_array_equal(clips.features(1), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected is MSCOCO's JSON of captions"),
        ([], "Input should be a valid dictionary"),
        ({"annotations": []}, "annotations: List should have at least 1 item"),
        (
            {"annotations": [{"image_id": 1, "caption": "a"}, {"caption": "b"}]},
            "annotations 1 image_id",
        ),
        ({"annotations": [{"image_id": "x", "caption": "a"}]}, "annotations 0 image_id: .*integer"),
        ({"annotations": [{"image_id": 1, "caption": " "}]}, "annotations 0 caption: .*at least 1"),
    ],
)
def test_a_malformed_list_of_pictures_is_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    write_mscoco(tmp_path)
    path = tmp_path / "data/MSCOCO/val_part_1.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=rf"val_part_1\.json: .*{message}"):
        mscoco(tmp_path)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file.*val_part_1\.json"):
        mscoco(tmp_path)


def test_a_sound_has_five_captions_and_its_own_length(tmp_path: Path) -> None:
    write_clotho(tmp_path)
    clips = clotho(tmp_path)
    assert (len(clips), clips.modality) == (11, Modality.AUDIO)
    for index in (0, 10):
        expected = np.float32(features(index, AUDIO_SHAPE, steps=15 + index))
        np.testing.assert_array_equal(clips.features(index), expected)
        name = f"rain, wind {index}"
        assert clips.captions(index) == tuple(f"{name}, heard {n}" for n in range(5))


@pytest.mark.parametrize(("clips", "published"), [(11, 2), (10, 2), (5, 1)])
def test_as_published_only_a_fifth_of_the_sounds_is_looked_at(
    tmp_path: Path, clips: int, published: int
) -> None:
    """The published length is that of the table; each of its indices is a caption, five a clip."""
    write_clotho(tmp_path, clips=clips)
    looked_at = {index // 5 for index in range(clips) if index // 5 * 5 + 4 < clips}
    found = clotho(tmp_path, as_published=True)
    assert len(found) == published == len(looked_at)
    assert found.captions(0) == clotho(tmp_path).captions(0)


def test_malformed_sounds_are_refused(tmp_path: Path) -> None:
    write_clotho(tmp_path)
    table = tmp_path / "data/clotho2.1/clotho_captions_evaluation.csv"
    columns = ("file_name", *(f"caption_{number}" for number in range(1, 6)))
    write_table(table, columns, [("a.mp3", *"abcde")])
    with pytest.raises(
        DataError, match=r"evaluation\.csv, line 2: 'a\.mp3' is not the name of a \.wav"
    ):
        clotho(tmp_path)
    write_table(table, columns, [("a.wav", *"abcd", "")])
    with pytest.raises(DataError, match="line 2: the column 'caption_5' is empty"):
        clotho(tmp_path)
    write_table(table, columns[:-1], [("a.wav", *"abcd")])
    with pytest.raises(DataError, match=r"lacks the columns \['caption_5'\]"):
        clotho(tmp_path)
    write_table(table, columns, [("a.wav", *"abcde")])
    with pytest.raises(DataError, match=r"1 of 1 files .*\n.*a\.zip"):
        clotho(tmp_path)


def test_a_video_has_its_sentence(tmp_path: Path) -> None:
    write_msrvtt(tmp_path)
    clips = msrvtt(tmp_path)
    assert (len(clips), clips.modality) == (3, Modality.VIDEO)
    assert clips.captions(2) == ("a man does thing 2",)
    np.testing.assert_array_equal(clips.features(2), np.float32(features(2, VIDEO_SHAPE, steps=4)))
