"""Finite scalar quantization: a fixed grid in a small learned projection."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.config import FSQConfig
from model.modality import Modality
from model.quantizers.base import Quantized, Quantizer, straight_through

EDGE = 1e-3  # how far past the last grid point the bound lies


class FiniteScalarQuantizer(Quantizer):
    """Rounds each of a few projected coordinates to one of its levels.

    The grid is fixed: there is no codebook to move and none that can collapse.

    Source: Mentzer et al., "Finite scalar quantization: VQ-VAE made simple", 2023.
    """

    num_codebooks = 1
    levels: Tensor
    place: Tensor

    def __init__(self, dim: int, config: FSQConfig) -> None:
        super().__init__()
        levels = torch.tensor(config.levels)
        self.dim, self.codebook_size = dim, math.prod(config.levels)
        self.down = nn.Linear(dim, len(levels))
        self.up = nn.Linear(len(levels), dim)
        place = torch.cat((torch.ones(1, dtype=torch.int64), levels[:-1].cumprod(0)))
        self.register_buffer("levels", levels, persistent=False)  # [d]
        self.register_buffer("place", place, persistent=False)  # [d] value of a digit

    def encode(self, z: Tensor) -> Tensor:
        """Return the codes ``[B, 1, T]`` of ``z`` ``[B, T, D]``: mixed-radix digits."""
        digits = self._project(z).round().long() + self.levels // 2
        return (digits * self.place).sum(-1).unsqueeze(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors ``[B, T, D]`` that ``codes`` ``[B, 1, T]`` stand for."""
        return self._raise(self._grid(codes.squeeze(1)))

    def tables(self) -> Tensor:
        """Return all grid points, projected up: ``[1, L, D]``."""
        return self.decode(torch.arange(self.codebook_size, device=self.place.device)[None, None])

    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Do nothing: the grid is fixed and its projections learn by gradient."""

    def forward(self, z: Tensor) -> Quantized:
        """Quantize ``z`` ``[B, T, D]``; the gradient passes both projections."""
        bounded = self._project(z)
        rounded = straight_through(bounded, bounded.round())
        return Quantized(self._raise(rounded), self.encode(z))

    def _project(self, z: Tensor) -> Tensor:
        """Return ``z`` ``[..., D]`` on the axes of the grid: ``[..., d]``, to be rounded."""
        # float32 even under autocast: which digit is nearest is decided here.
        with torch.autocast(z.device.type, enabled=False):
            return self._bound(self.down(z.to(self.down.weight.dtype)))

    def _bound(self, low: Tensor) -> Tensor:
        """Squash ``[..., d]`` so that rounding gives exactly ``levels`` different integers."""
        half = (self.levels - 1) * (1 + EDGE) / 2
        offset = (self.levels % 2 == 0).to(low.dtype) / 2
        return (low + (offset / half).atanh()).tanh() * half - offset

    def _grid(self, codes: Tensor) -> Tensor:
        digits = codes.unsqueeze(-1) // self.place % self.levels
        return (digits - self.levels // 2).to(self.up.weight.dtype)

    def _raise(self, rounded: Tensor) -> Tensor:
        return self.up(rounded / (self.levels // 2))
