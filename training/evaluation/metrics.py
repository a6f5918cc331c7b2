"""What a probe gets right: accuracy of clips, and precision, recall and F1 of seconds.

Shape letters: N clips, T steps, C classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class PrecisionRecall(NamedTuple):
    """Micro figures over all (second, class) cells; 0 where nothing was predicted."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def accuracy(logits: Tensor, classes: Tensor) -> float:
    """Return the share of clips whose largest logit ``[N, C]`` is at their class ``[N]``."""
    return (logits.argmax(-1) == classes).double().mean().item()


def precision_recall(logits: Tensor, labels: Tensor) -> PrecisionRecall:
    """Return the figures of the cells ``[N, T, C]`` whose probability exceeds one half."""
    chosen, labels = logits > 0, labels.bool()
    right = (chosen & labels).sum().item()
    return PrecisionRecall(right / max(chosen.sum().item(), 1), right / max(labels.sum().item(), 1))


def batched_precision_recall(logits: Tensor, labels: Tensor, *, batch: int) -> PrecisionRecall:
    """Return precision and recall averaged over batches, as the published code has them.

    A batch weighs as its clips. The mean of ratios is not the ratio of sums: a batch in which
    little is predicted counts as much as any other.
    """
    parts = [
        (precision_recall(*pair), len(pair[0]))
        for pair in zip(logits.split(batch), labels.split(batch), strict=True)
    ]
    weights = torch.tensor([float(size) for _, size in parts], dtype=torch.float64)
    figures = torch.tensor([tuple(own) for own, _ in parts], dtype=torch.float64)
    precision, recall = (weights @ figures / weights.sum()).tolist()
    return PrecisionRecall(precision, recall)
