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


def mean_average_precision(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over classes of the average precision of all seconds ``[N, T, C]``.

    It needs no threshold, which a few codes cross or do not cross all at once. Seconds of equal
    logits are taken in together; a class that never happens does not count.
    """
    scores, truth = logits.flatten(0, -2).T, labels.flatten(0, -2).T  # [C, N * T]
    found = [_average_precision(*own) for own in zip(scores, truth, strict=True) if own[1].any()]
    return sum(found) / max(len(found), 1)


def _average_precision(scores: Tensor, truth: Tensor) -> float:
    """Return the area under precision over recall as steps, one for each distinct score."""
    order = scores.argsort(descending=True)
    ranked = scores[order]
    hits = truth[order].double().cumsum(0)
    counts = torch.arange(1, len(hits) + 1, dtype=torch.float64)
    ends = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # of equal scores
    recall = hits[ends] / hits[-1]
    gained = recall.diff(prepend=torch.zeros(1, dtype=torch.float64))
    return float((gained * hits[ends] / counts[ends]).sum())
