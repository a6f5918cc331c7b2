"""Clips composed from a bank: one class seen, heard and named at once.

They are compositions, not recordings: photo and sound share a class and nothing else.
"""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.modality import Modality
from training.config import DataConfig
from training.data.bank import Bank
from training.data.sample import Sample


class ComposedClips(Dataset[Sample]):
    """``data.clips_per_epoch`` clips, drawn anew each epoch and the same for the same seed.

    A clip shows one photo, or two with a cut at a random second; it sounds an excerpt of one
    sound; its text is one sentence. All come from one class, drawn uniformly.
    """

    def __init__(self, bank: Bank, data: DataConfig, *, seed: int, split: str = "train") -> None:
        self.bank, self.data, self.seed, self.epoch = bank, data, seed, 0
        self.ids: dict[str, dict[Modality, list[str]]] = defaultdict(dict)
        for label in bank.classes:
            for m in Modality:
                found = [e.id for e in bank.select(m, split) if e.label == label]
                if found:
                    self.ids[label][m] = found
        self.labels = list(self.ids)

    def __len__(self) -> int:
        return self.data.clips_per_epoch

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        draw = np.random.default_rng((self.seed, self.epoch, index))
        label = self.labels[draw.integers(len(self.labels))]
        parts = {
            Modality.AUDIO: self._excerpt,
            Modality.VIDEO: self._shots,
            Modality.TEXT: self._sentence,
        }
        features = {m: parts[m](ids, draw) for m, ids in self.ids[label].items()}
        return Sample(features, self.bank.classes.index(label))

    def _view(self, ids: list[str], draw: np.random.Generator) -> Tensor:
        """Return a random view ``[T, *F]`` of a random item."""
        views = self.bank.features[ids[draw.integers(len(ids))]]
        return views[draw.integers(len(views))]

    def _shots(self, ids: list[str], draw: np.random.Generator) -> Tensor:
        steps = self.data.steps
        cut = int(draw.integers(1, steps)) if steps > 1 and draw.random() < 0.5 else steps
        first, second = self._view(ids, draw), self._view(ids, draw)
        return torch.cat(
            (
                first[:1].expand(cut, *first.shape[1:]),
                second[:1].expand(steps - cut, *second.shape[1:]),
            )
        )

    def _excerpt(self, ids: list[str], draw: np.random.Generator) -> Tensor:
        sound = self._view(ids, draw)
        spare = max(len(sound) - self.data.steps, 0)
        start = int(draw.integers(spare + 1))
        return sound[start : start + self.data.steps]

    def _sentence(self, ids: list[str], draw: np.random.Generator) -> Tensor:
        return self._view(ids, draw)
