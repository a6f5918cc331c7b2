"""Several networks for text as one: their vectors one after the other.

Shape letters: T sentences of one text, F features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model.backbones.base import Backbone
from model.backbones.pretrained.texts import SentenceTower
from model.media import Clip
from model.modality import Modality


class SideBySide(Backbone):
    """Towers whose steps are sentences, so that all have the same steps."""

    modality = Modality.TEXT

    def __init__(self, towers: Sequence[SentenceTower]) -> None:
        super().__init__()
        self.towers: Any = nn.ModuleList(towers)
        self.feature_shape = (sum(tower.feature_shape[0] for tower in towers),)
        self._widths = [tower.input.max_tokens for tower in towers]

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the tokens ``[T, ...]`` of all towers, one after the other.

        Raises:
            MediaError: There is no word in the text.
        """
        return torch.cat([tower.preprocess(item) for tower in self.towers], 1)

    def words(self, sentence: str) -> list[str]:
        """Return the sentences that the steps stand for."""
        return self.towers[0].words(sentence)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[T, F]``."""
        parts = zip(self.towers, steps.split(self._widths, 1), strict=True)
        return torch.cat([tower(part) for tower, part in parts], 1)
