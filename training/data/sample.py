"""A training clip, and a batch of them: padded features with their masks.

Shape letters: B batch, T time steps, F feature dim.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.config import SRCIDConfig
from model.modality import Modality
from training.config import DataConfig


class Sample(NamedTuple):
    """One clip's features; a modality that it lacks is left out."""

    features: dict[Modality, Tensor]  # [steps, *F] as many steps as the modality has
    label: int  # class index, -1 where there is none; no loss reads it
    meaning: Tensor | None = None  # [F] of length 1: what it is about, where that is known


class Batch(NamedTuple):
    """Clips side by side."""

    features: dict[Modality, Tensor]  # [B, T, *F], zero where the mask is false
    masks: dict[Modality, Tensor]  # [B, T] true where a step is real; real steps come first
    labels: Tensor  # [B]
    meanings: Tensor | None = None  # [B, F]; None where that of a clip is not known

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on ``device``."""
        return Batch(
            {m: x.to(device, non_blocking=True) for m, x in self.features.items()},
            {m: x.to(device, non_blocking=True) for m, x in self.masks.items()},
            self.labels.to(device, non_blocking=True),
            None if self.meanings is None else self.meanings.to(device, non_blocking=True),
        )


def collate(samples: Sequence[Sample], model: SRCIDConfig, data: DataConfig) -> Batch:
    """Put clips into one batch of ``data.steps`` steps; what is longer is cut."""
    features, masks = {}, {}
    for m, own in model.modalities.items():
        batch = torch.zeros(len(samples), data.steps, *own.feature_shape)
        mask = torch.zeros(len(samples), data.steps, dtype=torch.bool)
        for row, sample in enumerate(samples):
            if m not in sample.features:
                continue
            steps = sample.features[m]
            if m is Modality.TEXT and data.text_layout == "spread":
                steps = spread(steps, data.steps)
            steps = steps[: data.steps]
            batch[row, : len(steps)] = steps
            mask[row, : len(steps)] = True
            if m is Modality.TEXT and not data.text_mask:
                mask[row] = True
        features[m], masks[m] = batch, mask
    labels = torch.tensor([sample.label for sample in samples])
    known = [sample.meaning for sample in samples if sample.meaning is not None]
    return Batch(
        features, masks, labels, torch.stack(known) if len(known) == len(samples) else None
    )


def spread(words: Tensor, steps: int) -> Tensor:
    """Lay ``words`` ``[n, F]`` over ``steps`` steps, each word as long as the others.

    Of more words than steps, each step is the mean of the words that fall on it.
    """
    count = len(words)
    if count <= steps:
        return words[torch.arange(steps) * count // steps]
    place = torch.arange(count) * steps // count
    return torch.stack([words[place == step].mean(0) for step in range(steps)])
