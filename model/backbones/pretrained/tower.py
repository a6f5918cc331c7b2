"""What every part of a pretrained model is as a backbone.

Shape letters: N rows of a batch, T steps, F features.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from model.backbones.base import Backbone
from model.backbones.pretrained.loading import load_model
from model.config import TowerConfig


class Tower(Backbone):
    """A part of a pretrained model: its pictures, its sounds or its sentences.

    A family derives from a kind of tower (``PictureTower``, ``SoundTower``, ``SentenceTower``,
    ``WordTower``), says which class of transformers it is, where the numbers of its preprocessing
    are published, and which of the model's outputs counts.

    Args:
        config: What the tower is.
        folder: Where its files are.

    Raises:
        CheckpointError: A file is missing, damaged or of another network.
    """

    model_class: ClassVar[str] = "AutoModel"  # of transformers
    attention: ClassVar[Literal["eager", "sdpa"]] = "sdpa"
    output: ClassVar[Literal["shared", "last", "mean", "first"]] = "shared"
    unused: ClassVar[tuple[str, ...]] = ()  # what may be missing in a file: its output is not read
    max_rows: ClassVar[int] = 64  # of a batch on a GPU
    max_rows_cpu: ClassVar[int] = 1  # all of one item, which is what makes it independent of others

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__()
        self.config = config
        self.model: Any = self.load(folder)
        self.feature_shape = (config.dim,)

    @classmethod
    @abstractmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input`` of the tower that ``folder`` holds, and other fields.

        Raises:
            ConfigError: The folder holds what this family cannot take.
        """

    def load(self, folder: Path) -> Any:
        """Return the network with its weights.

        Raises:
            CheckpointError: A file is missing, damaged or of another network.
        """
        return load_model(self.model_class, folder, self.config, unused=self.unused)

    @abstractmethod
    def vectors(self, batch: Tensor) -> Tensor:
        """Return what the network makes of prepared rows ``[N, ...]``, a row for each."""

    def forward(self, steps: Tensor) -> Tensor:
        """Return the features ``[T, F]`` of preprocessed ``steps`` ``[T, ...]``."""
        size = self.max_rows_cpu if steps.device.type == "cpu" else self.max_rows
        return torch.cat([self.vectors(rows).float() for rows in steps.split(size)])

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in."""
        return torch.bfloat16 if self.config.dtype == "bfloat16" else torch.float32
