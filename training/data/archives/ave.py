"""AVE: an event that is both seen and heard, in clips of ten seconds.

Source: Tian et al., ECCV 2018; the features that come with its code.
Shape letters: T steps, F feature dim, C classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.errors import DataError
from model.modality import Modality
from training.data.archives.choices import check_choice
from training.data.archives.feature_store import AUDIO_SHAPE, STEPS, VIDEO_SHAPE, as_features
from training.data.archives.hdf5 import H5Array

FOLDER = Path("data/AVE-ECCV18-master/data")
KEY = "avadataset"
CLASSES = 28
ORDERS = {"train": "train", "validation": "val", "test": "test"}  # split -> name of its list


@dataclass
class AVEClips:
    """Some of the clips of AVE, read from its HDF5 files one by one (``LabelledClips``)."""

    name: str
    classes: tuple[str, ...]
    modalities: tuple[Modality, ...]
    arrays: dict[Modality, H5Array]  # [clips of AVE, T, *F]
    events: H5Array  # [clips of AVE, T, C + 1], background last
    order: NDArray[np.int64]  # which of the clips

    def __len__(self) -> int:
        return len(self.order)

    def features(self, index: int, modality: Modality) -> Tensor:
        """Return ``[T, *F]`` float32."""
        array, row = self.arrays[modality], int(self.order[index])
        return as_features(array.row(row), steps=STEPS, source=f"{array.path}, row {row}")

    def labels(self, index: int, modality: Modality) -> Tensor:
        """Return bool ``[T, C]``: in AVE, what is seen is heard."""
        assert modality in self.modalities
        row = int(self.order[index])
        events = self.events.row(row)
        if not np.isin(events, (0, 1)).all():
            raise DataError(f"{self.events.path}, row {row}: labels other than 0 and 1")
        return torch.from_numpy(events[:, :-1].astype(bool))


def ave(root: Path, split: str) -> AVEClips:
    """Open a split of AVE.

    Args:
        root: Holds ``data/AVE-ECCV18-master``.
        split: ``train``, ``validation`` or ``test``. The paper's protocol uses ``train`` alone,
            for fitting and for judging.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or damaged, or two do not fit.
    """
    check_choice(split, ORDERS, what="split of AVE")
    folder = root / FOLDER
    classes = tuple(f"class {number}" for number in range(1, CLASSES + 1))  # it does not name them
    return open_ave(
        root,
        name="AVE",
        classes=classes,
        labels=folder / "labels.h5",
        order=folder / f"{ORDERS[split]}_order.h5",
    )


def open_ave(
    root: Path, *, name: str, classes: tuple[str, ...], labels: Path, order: Path
) -> AVEClips:
    """Open those clips of AVE that ``order`` names, with their ``labels``.

    Raises:
        DataError: A file is missing or damaged, or two do not fit.
    """
    folder = root / FOLDER
    arrays = {
        Modality.AUDIO: H5Array(folder / "audio_feature.h5", KEY, shape=(STEPS, *AUDIO_SHAPE)),
        Modality.VIDEO: H5Array(folder / "visual_feature.h5", KEY, shape=(STEPS, *VIDEO_SHAPE)),
    }
    lengths = {m: len(array) for m, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{folder} has features of {lengths[Modality.AUDIO]} sounds, but of "
            f"{lengths[Modality.VIDEO]} videos; download both files again"
        )
    events = H5Array(labels, KEY, shape=(STEPS, len(classes) + 1))
    rows = min(len(events), *lengths.values())
    return AVEClips(name, classes, tuple(arrays), arrays, events, _read_order(order, rows))


def _read_order(path: Path, rows: int) -> NDArray[np.int64]:
    """Return which of the ``rows`` first clips ``path`` names."""
    found = H5Array(path, "order", shape=()).all()
    if not len(found) or not np.issubdtype(found.dtype, np.integer):
        raise DataError(f"{path} is not a list of clip numbers; it begins with {found[:3]}")
    order: NDArray[np.int64] = found.astype(np.int64)
    wrong = np.flatnonzero((order < 0) | (order >= rows))
    if len(wrong):
        raise DataError(
            f"{path}, row {wrong[0]}: there is no clip {order[wrong[0]]}; features and labels "
            f"have the clips 0 to {rows - 1} ({len(wrong)} such rows)"
        )
    return order
