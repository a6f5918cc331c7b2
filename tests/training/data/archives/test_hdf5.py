"""HDF5 files are read row by row, each process by itself."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from model.errors import DataError
from tests.training.data.archives.published import write_h5
from training.data.archives.hdf5 import H5Array

ROWS = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_h5(tmp_path / "rows.h5", "own", ROWS)
    return tmp_path / "rows.h5"


def test_rows_are_those_that_were_written(path: Path) -> None:
    array = H5Array(path, "own", shape=(3,))
    assert len(array) == 4
    for index in (2, 0, 3):
        np.testing.assert_array_equal(array.row(index), ROWS[index])
    np.testing.assert_array_equal(array.all(), ROWS)


def test_it_is_opened_anew_after_a_pickle(path: Path) -> None:
    array = H5Array(path, "own", shape=(3,))
    array.row(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)).row(1), ROWS[1])


def test_it_is_opened_anew_in_a_fork(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = H5Array(path, "own", shape=(3,))
    array.row(0)
    path.rename(path.with_suffix(".away"))
    array.row(1)  # open still
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(DataError, match="No such file"):
        array.row(2)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("other", (3,), "rows.h5.*expected an HDF5 file with the data set 'other'"),
        ("own", (2,), r"'own' has shape \(4, 3\), expected \(clips, 2\)"),
        ("own", (), r"'own' has shape \(4, 3\), expected \(clips\)"),
    ],
)
def test_another_content_is_refused(
    path: Path, key: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        H5Array(path, key, shape=shape)


def test_what_is_no_hdf5_file_is_refused(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"no hdf5")
    for own in (path, tmp_path / "missing.h5", tmp_path):
        with pytest.raises(DataError, match="expected an HDF5 file"):
            H5Array(own, "own", shape=(3,))


def test_a_group_and_a_single_number_are_no_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("own")
        file["number"] = 3.0
    for key, message in (("own", "is a group"), ("number", r"shape \(\), expected \(clips\)")):
        with pytest.raises(DataError, match=message):
            H5Array(tmp_path / "group.h5", key, shape=())


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.h5"
    write_h5(path, "own", np.random.default_rng(0).normal(size=(1000, 3)))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(DataError, match="truncated file"):
        H5Array(path, "own", shape=(3,))
