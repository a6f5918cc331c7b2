"""Backbones that were trained to tell classes, and say which they see or hear.

Shape letters: N steps, E size of the pooled vector, L classes.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(ABC):
    """Adds to a backbone's pooled vector what its own classifier makes of it.

    Names of classes are words, so what a classifier believes is a bridge to sentences about
    things that no training clip has shown.
    """

    @property
    @abstractmethod
    def head(self) -> nn.Linear:
        """The classifier: ``[N, E]`` to logits ``[N, L]``."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """The classes in English, in the order of the head's rows. Needed for training only."""

    @abstractmethod
    def beliefs(self, logits: Tensor) -> Tensor:
        """Return how much each class is believed in, from logits ``[N, L]``; none below 0."""

    def logits(self, pooled: Tensor) -> Tensor:
        """Return what the head makes of ``pooled`` ``[N, E]``: ``[N, L]``."""
        return self.head(pooled)

    def classified(self, pooled: Tensor) -> Tensor:
        """Return ``[N, E + L]``: pooled vectors ``[N, E]``, then beliefs of length 1."""
        return torch.cat([pooled, F.normalize(self.beliefs(self.logits(pooled)), dim=-1)], -1)
