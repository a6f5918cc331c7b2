"""A zip a clip: what is read of it, and what is said of one that is not as it should be."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import DataError
from tests.training.data.archives.published import features, write_store, write_zip
from training.data.archives.feature_store import FeatureStore, check_files


def store(folder: Path, steps: int | None = 10) -> FeatureStore:
    return FeatureStore(folder, (3,), steps)


def test_doubles_come_as_float32(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(10, 3))
    write_zip(tmp_path / "clip.zip", array)
    found = store(tmp_path).load("clip")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(array, dtype=torch.float32), rtol=0, atol=0)


@pytest.mark.parametrize("steps", [1, 9, 10, 11, 25])
def test_the_last_step_is_repeated_and_what_is_too_long_is_cut(tmp_path: Path, steps: int) -> None:
    array = features(4, (3,), steps=steps)
    write_zip(tmp_path / "clip.zip", array)
    expected = [array[min(step, steps - 1)] for step in range(10)]
    np.testing.assert_array_equal(store(tmp_path).load("clip"), np.float32(expected))


def test_a_store_without_a_length_leaves_clips_as_long_as_they_are(tmp_path: Path) -> None:
    write_zip(tmp_path / "clip.zip", features(4, (3,), steps=17))
    assert store(tmp_path, steps=None).load("clip").shape == (17, 3)


def test_the_last_pickle_of_a_zip_counts(tmp_path: Path) -> None:
    path = tmp_path / "clip.zip"
    for number, member in enumerate(("1.pkl", "2.pkl.gz", "readme.txt")):
        write_zip(path, features(number, (3,)), member=member)
    assert store(tmp_path).load("clip")[0, 0] == 1


def refused(folder: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        store(folder).load("clip")
    assert str(folder / "clip.zip") in str(caught.value)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (np.zeros((10, 4)), r"shape \(10, 4\), expected \(10, 3\): it comes from another"),
        (np.zeros((10, 1, 3)), r"shape \(10, 1, 3\)"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.array(1.0), r"shape \(\)"),
        (np.full((10, 3), np.nan), "NaN or infinity"),
        (np.full((10, 3), 1e300), "NaN or infinity"),  # as float32
        ([1, 2], "does not hold an array"),
        (np.array([["a"] * 3] * 10), "not numeric"),
    ],
)
def test_an_array_of_another_kind_is_refused(tmp_path: Path, thing: object, message: str) -> None:
    write_zip(tmp_path / "clip.zip", thing)
    refused(tmp_path, message)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.zip"
    refused(tmp_path, "No such file")
    path.write_bytes(b"no zip")
    refused(tmp_path, "not a zip file")
    path.unlink()
    write_zip(path, features(0, (3,)), member="feature.npy")
    refused(tmp_path, r"no \.pkl file, only \['feature.npy'\]")
    path.unlink()
    write_zip(path, np.random.default_rng(0).normal(size=(10, 3)))
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + b"\x00\x00\x00" + whole[63:])
    refused(tmp_path, "download this file again")


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "clip.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("feature.pkl", bytes(2**26 + 1))
    refused(tmp_path, "67108865 bytes, more than 67108864")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.zip"
    write_zip(path, features(0, (3,)))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag in the member's own header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(raw)
    refused(tmp_path, "encrypted")


def test_missing_files_are_counted_together_and_the_first_ten_named(tmp_path: Path) -> None:
    sounds, pictures = store(tmp_path / "audio"), store(tmp_path / "video")
    ids = [f"clip{number:02d}" for number in range(20)]
    write_store(tmp_path / "audio", ids[:12], (3,))
    check_files({sounds: ids[:12]})
    with pytest.raises(DataError) as caught:
        check_files({sounds: ids, pictures: ids[:3]})
    first, *named, last = str(caught.value).split("\n")
    assert first.startswith("11 of 23 files of features are missing; unpack the archive")
    assert [line.strip() for line in named] == [
        *(str(tmp_path / f"audio/clip{number}.zip") for number in range(12, 20)),
        *(str(tmp_path / f"video/clip0{number}.zip") for number in range(2)),
    ]
    assert last.strip() == "and 1 more"


def test_a_clip_that_is_named_twice_is_missing_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^1 of 1 files"):
        check_files({store(tmp_path): ["a", "a"]})


def test_a_name_that_leaves_the_folder_is_missing(tmp_path: Path) -> None:
    write_store(tmp_path, ["outside"], (3,))
    (tmp_path / "own").mkdir()
    with pytest.raises(DataError, match="1 of 1 files"):
        check_files({store(tmp_path / "own"): ["../outside"]})


def test_a_store_travels_to_another_process(tmp_path: Path) -> None:
    write_store(tmp_path, ["clip"], (3,))
    assert pickle.loads(pickle.dumps(store(tmp_path))).load("clip").shape == (10, 3)
