"""Clips of one's own media, from the folder that ``srcid extract`` wrote."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from training.config import DataConfig
from training.data.bank import Bank, Entry
from training.data.extracted import ClipRow, read_piece
from training.data.rounds import Rounds
from training.data.sample import Sample

VALIDATION = "validation"


class ExtractedClips(Dataset[Sample]):
    """The clips of a folder, cut into pieces of ``data.steps`` steps; what is left is a piece.

    An epoch has every piece once, and then again up to ``data.clips_per_epoch``, in an order
    that is the same for the same seed. A caption stands beside every piece of its clip; of
    several captions one is drawn. A modality that a piece lacks is left out of it.
    """

    def __init__(
        self, folder: Path, rows: Iterable[ClipRow], data: DataConfig, *, seed: int
    ) -> None:
        self.folder, self.data, self.seed, self.epoch = folder, data, seed, 0
        rows = list(rows)
        self.pieces = [(row, start) for row in rows for start in range(0, row.steps, data.steps)]
        found = sorted({row.label for row in rows} - {""})
        self.labels = {label: number for number, label in enumerate(found)}
        self._rounds = Rounds(len(self.pieces), seed=seed)

    def __len__(self) -> int:
        return max(len(self.pieces), self.data.clips_per_epoch)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        row, start = self.pieces[self._rounds[self.epoch * len(self) + index]]
        draw = np.random.default_rng((self.seed, self.epoch, index))
        caption = int(draw.integers(row.captions)) if row.captions else None
        features = read_piece(
            self.folder, row, start=start, stop=start + self.data.steps, caption=caption
        )
        return Sample(features, self.labels[row.label] if row.label else -1)


def validation_split(rows: list[ClipRow], fraction: float) -> tuple[list[ClipRow], list[ClipRow]]:
    """Return the clips to train on, and those to validate on.

    The latter are those whose split says so; where there is none, the last ``fraction`` of the
    others. None if ``fraction`` is 0.
    """
    train = [row for row in rows if row.split == "train"]
    held_out = [row for row in rows if row.split == VALIDATION]
    if not fraction:
        return train, []
    kept = len(train) if held_out else len(train) - round(fraction * len(train))
    return train[:kept], held_out + train[kept:]


def extracted_bank(folder: Path, rows: Iterable[ClipRow], *, steps: int) -> Bank:
    """Return the first piece of each clip as items of a bank, in the splits of their rows.

    A clip without a label is a class of its own, to be found by its own caption or sound: it
    counts where it has everything.
    """
    entries, features = [], {}
    for row in rows:
        if not row.label and not (row.audio and row.video and row.captions):
            continue
        caption = 0 if row.captions else None
        piece = read_piece(folder, row, start=0, stop=steps, caption=caption)
        for m, own in piece.items():
            entry = Entry(f"{row.shard}/{m}", m, row.label or row.file, row.split, "")
            entries.append(entry)
            features[entry.id] = own[None]
    return Bank(entries, features)


def validation_bank(folder: Path, rows: Iterable[ClipRow], *, steps: int) -> Bank:
    """Return ``extracted_bank`` of the clips that have everything, as a validation split."""
    kept = [
        row._replace(split=VALIDATION) for row in rows if row.audio and row.video and row.captions
    ]
    return extracted_bank(folder, kept, steps=steps)
