"""What scenes are made of: a bank's photos, recordings and sentences."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.errors import DataError, MediaError
from model.media import Clip, DecodeConfig, read_clip
from model.modality import Modality
from training.data.bank import Bank, Entry
from training.data.scenes.script import SPLITS

BLUR = 48  # pixels, of the backdrop
BLOCKS = 20  # of a second: 50 ms, whose loudness counts as one
SILENCE = 0.01  # of the loudest block: -40 dB
PAUSE = 5  # blocks of silence that are left between sounds
KEPT_IN_MEMORY = 256  # photos and recordings, each


class Supply(NamedTuple):
    """The ids, or for text the sentences, that one split may use, by class."""

    photos: Mapping[str, list[str]]
    recordings: Mapping[str, list[str]]
    sentences: Mapping[str, list[str]]

    @property
    def classes(self) -> list[str]:
        """The classes, in order."""
        return sorted(self.photos)


def supplies(entries: Iterable[Entry], *, validation: float) -> dict[str, Supply]:
    """Return what each split of scenes draws from; no item serves two of them.

    Args:
        entries: The items of a bank.
        validation: Part of each class's training items that validation scenes are made of.

    Raises:
        DataError: A class lacks photos, recordings or sentences in a split.
    """
    bank = Bank(entries, {}).with_validation(validation)
    return {split: _supply(bank, split) for split in SPLITS}


def _supply(bank: Bank, split: str) -> Supply:
    found: dict[Modality, dict[str, list[str]]] = {}
    for m in Modality:
        own = bank.select(m, split)
        found[m] = {
            label: [_said(e) if m is Modality.TEXT else e.id for e in own if e.label == label]
            for label in bank.classes
        }
        for label, items in found[m].items():
            if not items:
                raise DataError(
                    f"the bank has no {m} of class {label!r} left for the {split} split of "
                    "scenes: each class needs photos, sounds and sentences in `train` (some are "
                    "kept for validation) and in `test`"
                )
    return Supply(found[Modality.VIDEO], found[Modality.AUDIO], found[Modality.TEXT])


def _said(entry: Entry) -> str:
    """Return a sentence as it stands within another."""
    return entry.text.strip().rstrip(".").lower()


class Material:
    """Reads a bank's photos and recordings, and keeps what was read last.

    Args:
        folder: The bank.
        config: How clips are decoded; scenes are composed in that size and at that rate.
    """

    def __init__(self, folder: Path, config: DecodeConfig | None = None) -> None:
        config = config or DecodeConfig()
        self.folder = folder
        self.side, self.rate = config.short_side, config.sample_rate  # pixels, Hz
        self._config = config.model_copy(update={"is_squashed": False})  # scenes are square anyway
        self.photo = lru_cache(KEPT_IN_MEMORY)(self._photo)
        self.backdrop = lru_cache(KEPT_IN_MEMORY)(self._backdrop)
        self.recording = lru_cache(KEPT_IN_MEMORY)(self._recording)

    def _photo(self, item: str) -> NDArray[np.uint8]:
        """Return a photo ``[H, W, 3]``."""
        frames = self._read(item).frames
        if frames is None:
            raise DataError(f"{self.folder / item}: it has no picture")
        return frames[0, 0]

    def _backdrop(self, item: str) -> NDArray[np.uint8]:
        """Return a photo's colours, ``[side, side, 3]``, with nothing in them to recognise."""
        image = Image.fromarray(self.photo(item)).resize((self.side, self.side))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR)))

    def _recording(self, item: str) -> NDArray[np.float32]:
        """Return a recording ``[S]`` without its longer silences."""
        waveform = self._read(item).waveform
        if waveform is None or not waveform.any():
            raise DataError(f"{self.folder / item}: it is silent; leave it out")
        return without_silence(waveform, rate=self.rate)

    def _read(self, item: str) -> Clip:
        try:
            return read_clip(self.folder / item, self._config)
        except MediaError as error:
            raise DataError(f"{self.folder / item}: {error}") from error


def without_silence(waveform: NDArray[np.float32], *, rate: int) -> NDArray[np.float32]:
    """Return ``waveform`` with pauses cut to a quarter of a second.

    So something is heard in each second of a sound that is repeated; a bark is often one bark and
    four seconds of nothing.
    """
    block = rate // BLOCKS
    blocks = np.pad(waveform, (0, -len(waveform) % block)).reshape(-1, block)
    loudness = np.sqrt((blocks.astype(np.float64) ** 2).mean(1))
    is_loud = loudness >= SILENCE * loudness.max()
    since = np.zeros(len(blocks), np.int64)  # blocks since the last one that is loud
    for index in range(1, len(blocks)):
        since[index] = 0 if is_loud[index] else since[index - 1] + 1
    kept = since <= PAUSE
    kept[: int(is_loud.argmax())] = False
    return blocks[kept].reshape(-1)
