"""Seeded random projections of very simple statistics: backbones for unit tests.

They need no weights, take milliseconds, and are the same in every process.
Shape letters: N steps, T steps of one item, R frames a step.
"""

import zlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.backbones.base import Backbone, sound_by_second
from model.errors import MediaError
from model.media import Clip
from model.modality import Modality

DIM = 8
PARTS = 20  # of a second whose loudness is told apart
GRID = 8  # rows and columns of a frame that are told apart
BUCKETS = 4096  # of words


def _projection(inputs: int) -> nn.Parameter:
    """Return a fixed ``[inputs, DIM]``, which keeps the size of what it projects."""
    generator = torch.Generator().manual_seed(inputs)
    weights = torch.randn(inputs, DIM, generator=generator)
    return nn.Parameter(weights / DIM**0.5, requires_grad=False)


class TinyAudio(Backbone):
    """The loudness of each twentieth of a second, projected."""

    modality = Modality.AUDIO
    feature_shape = (DIM,)

    def __init__(self) -> None:
        super().__init__()
        self.projection = _projection(PARTS)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[T, PARTS]``, the mean of \\|wave\\| in each part."""
        seconds = sound_by_second(item, rate=self.sample_rate)
        return seconds.abs().unflatten(1, (PARTS, -1)).mean(2)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, DIM]``."""
        return steps @ self.projection


class TinyVideo(Backbone):
    """The frames of a step, pooled to 8 x 8 pixels, averaged and projected."""

    modality = Modality.VIDEO
    feature_shape = (DIM,)

    def __init__(self) -> None:
        super().__init__()
        self.projection = _projection(3 * GRID * GRID)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[T, R, 3, GRID, GRID]`` in [0, 1]."""
        if isinstance(item, str) or item.frames is None:
            raise MediaError("no picture to look at; send a video or a picture")
        pixels = torch.from_numpy(item.frames).movedim(-1, 2).float() / 255  # [T, R, 3, H, W]
        pooled = F.adaptive_avg_pool2d(pixels.flatten(0, 1), GRID)
        return pooled.unflatten(0, pixels.shape[:2])

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, DIM]``."""
        return steps.mean(1).flatten(1) @ self.projection


class TinyText(Backbone):
    """A vector a word, whatever stands beside it."""

    modality = Modality.TEXT
    feature_shape = (DIM,)

    def __init__(self) -> None:
        super().__init__()
        self.projection = _projection(BUCKETS)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[T]``, the bucket of each word."""
        words = self.words(item) if isinstance(item, str) else []
        if not words:
            raise MediaError("no word in the sentence; write at least one")
        return torch.tensor([zlib.crc32(word.lower().encode()) % BUCKETS for word in words])

    def words(self, sentence: str) -> list[str]:
        """Return the words that the steps stand for."""
        return sentence.split()

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, DIM]``."""
        return self.projection[steps]
