"""Learned prototypes: a codebook that follows a loss instead of an average."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import PrototypesConfig
from model.modality import Modality
from model.quantizers.base import Quantizer


class PrototypeQuantizer(Quantizer):
    """Each step becomes the prototype of the highest cosine; a loss moves the prototypes.

    They start as long as the general vectors, whose last layer norm gives them a variance of 1.

    Source: Duan et al., "Multi-modal alignment using representation codebook" (CODIS), 2022.
    """

    num_codebooks = 1

    def __init__(self, dim: int, config: PrototypesConfig) -> None:
        super().__init__()
        self.dim, self.codebook_size = dim, config.codebook_size
        self.vectors = nn.Parameter(torch.randn(config.codebook_size, dim))  # [L, D]

    def encode(self, z: Tensor) -> Tensor:
        """Return the codes ``[B, 1, T]`` nearest by angle to ``z`` ``[B, T, D]``."""
        # float32 even under autocast: ties are decided here.
        with torch.autocast(z.device.type, enabled=False):
            directions = F.normalize(self.vectors.detach(), dim=-1)
            scores = z.detach().to(directions.dtype) @ directions.T  # [B, T, L]
        return scores.argmax(-1).unsqueeze(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors ``[B, T, D]`` that ``codes`` ``[B, 1, T]`` stand for."""
        return self.vectors[codes.squeeze(1)]

    def tables(self) -> Tensor:
        """Return the prototypes as ``[1, L, D]``; a gradient through them trains them."""
        return self.vectors.unsqueeze(0)

    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Do nothing: the prototypes learn by gradient."""
