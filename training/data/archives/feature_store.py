"""A folder of the authors' features: one zip per clip, each with one pickled array.

Shape letters: T steps, F feature dim.
"""

import pickle
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.errors import DataError
from training.data.archives.pickles import unpickle_array

AUDIO_SHAPE = (128,)  # VGGish
VIDEO_SHAPE = (7, 7, 512)  # VGG19, channels last
STEPS = 10
MAX_BYTES = 2**26  # of an unpacked array; ten seconds of video have 2 MB
NAMED = 10  # missing files that a message names


@dataclass(frozen=True)
class FeatureStore:
    """The features of one modality.

    Args:
        folder: Holds ``<id>.zip``. Of the members whose name contains ``.pkl`` the last counts.
        shape: Of one step.
        steps: What is shorter is filled up with its last step, what is longer is cut, as the
            published loaders do; None: as long as it is.
    """

    folder: Path
    shape: tuple[int, ...]
    steps: int | None = STEPS

    def path(self, clip: str) -> Path:
        """Return the file of a clip."""
        return self.folder / f"{clip}.zip"

    def load(self, clip: str) -> Tensor:
        """Return ``[T, *F]`` float32.

        Raises:
            DataError: The file is missing, damaged, or holds another array.
        """
        path = self.path(clip)
        try:
            array = unpickle_array(_read_pickle(path))
        except (
            OSError,
            EOFError,
            RuntimeError,  # encrypted, or packed by a method that is not there
            zipfile.BadZipFile,
            zlib.error,
            pickle.UnpicklingError,
        ) as error:
            raise DataError(f"{path}: {error}; download this file again") from error
        if array.shape[1:] != self.shape or not len(array):
            steps = "steps" if self.steps is None else str(self.steps)
            raise DataError(
                f"{path} has an array of shape {array.shape}, expected ({steps}, "
                f"{', '.join(map(str, self.shape))}): it comes from another backbone"
            )
        return as_features(array, steps=self.steps, source=str(path))


def as_features(array: NDArray[np.generic], *, steps: int | None, source: str) -> Tensor:
    """Return ``array`` ``[n, *F]`` as float32 ``[T, *F]``, filled up or cut to ``steps``.

    Raises:
        DataError: A number is not finite. ``source`` is named.
    """
    with np.errstate(over="ignore"):  # a number too large becomes infinite, and is found
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise DataError(f"{source} contains NaN or infinity; download it again")
    if steps is not None and steps != len(array):
        array = array[np.minimum(np.arange(steps), len(array) - 1)]
    return torch.from_numpy(array)


def _read_pickle(path: Path) -> bytes:
    with zipfile.ZipFile(path) as file:
        members = [member for member in file.infolist() if ".pkl" in member.filename]
        if not members:
            raise zipfile.BadZipFile(f"it has no .pkl file, only {file.namelist()}")
        if members[-1].file_size > MAX_BYTES:
            raise zipfile.BadZipFile(
                f"{members[-1].filename} has {members[-1].file_size} bytes, more than {MAX_BYTES}"
            )
        return file.read(members[-1])


def check_files(wanted: Mapping[FeatureStore, Iterable[str]]) -> None:
    """See that each store has the files of its clips.

    Raises:
        DataError: Some are missing; it counts them all and names the first.
    """
    missing: list[tuple[FeatureStore, str]] = []
    count = 0
    for store, clips in wanted.items():
        names = set(clips)
        count += len(names)
        found = {path.name for path in store.folder.iterdir()} if store.folder.is_dir() else set()
        missing += [(store, clip) for clip in sorted(names) if f"{clip}.zip" not in found]
    if missing:
        named = "\n".join(f"  {store.path(clip)}" for store, clip in missing[:NAMED])
        more = f"\n  and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"{len(missing)} of {count} files of features are missing; "
            f"unpack the archive completely:\n{named}{more}"
        )
