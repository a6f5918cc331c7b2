"""Arrays in HDF5 files, read clip by clip. The only file that opens h5py."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError

if TYPE_CHECKING:
    import h5py


class H5Array:
    """One data set of an HDF5 file.

    The file is opened in each process that reads, when it first does: a handle survives neither
    a fork nor a pickle.

    Args:
        path: The file.
        key: The data set's name.
        shape: Of one of its rows.

    Raises:
        DataError: The file is missing, damaged, or holds other rows.
    """

    def __init__(self, path: Path, key: str, *, shape: tuple[int, ...]) -> None:
        self.path, self.key = path, key
        self._opened: tuple[int, h5py.Dataset] | None = None  # in which process, and what
        found = tuple(self._rows().shape)
        if not found or found[1:] != shape:
            expected = ", ".join(map(str, ("clips", *shape)))
            raise DataError(f"{path}: {key!r} has shape {found}, expected ({expected})")
        self.length = found[0]

    def __len__(self) -> int:
        return self.length

    def row(self, index: int) -> NDArray[np.generic]:
        """Read one row.

        Raises:
            DataError: It is damaged.
        """
        try:
            return np.asarray(self._rows()[index])
        except OSError as error:
            raise DataError(
                f"{self.path}, row {index}: {error}; download the file again"
            ) from error

    def all(self) -> NDArray[np.generic]:
        """Read all rows."""
        return np.asarray(self._rows()[:])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _rows(self) -> "h5py.Dataset":
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._open())
        return self._opened[1]

    def _open(self) -> "h5py.Dataset":
        import h5py

        try:
            found = h5py.File(self.path, "r")[self.key]
        except (OSError, KeyError) as error:
            raise DataError(
                f"{self.path}: {error}; expected an HDF5 file with the data set {self.key!r}"
            ) from error
        if not isinstance(found, h5py.Dataset):
            raise DataError(f"{self.path}: {self.key!r} is a group, expected a data set")
        return found
