"""Residual vector quantization: each stage quantizes what the stages before left over."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import RVQConfig
from model.modality import Modality
from model.quantizers.base import Quantizer
from model.quantizers.codebook import EMACodebook


class ResidualQuantizer(Quantizer):
    """n codebooks whose chosen vectors add up; MM-EMA moves each by its residuals.

    Entry 0 of every codebook stays the zero vector, so that a stage can add nothing.

    With ``carry``, what a step's codes lose is added to the next step before it is quantized, as
    far as the two point the same way: error diffusion along time. Scenes that differ are kept
    apart, and T steps of one thing say it with T times the codes. ``carry_all`` does it however
    unlike the two are: what another layer's codes leave may turn while the thing stays the same.

    Source: Lee et al., CVPR 2022; ``Cross_RQEmbeddingEMA_AVT`` of the published code.
    """

    def __init__(self, dim: int, config: RVQConfig) -> None:
        super().__init__()
        self.dim, self.codebook_size = dim, config.codebook_size
        self.num_codebooks = config.stages
        self.carries, self.carries_all = config.carry, config.carry_all
        self.codebooks = nn.ModuleList(
            EMACodebook(
                size=config.codebook_size,
                dim=dim,
                decay=config.decay,
                multimodal=config.multimodal,
                revive_after=config.revive_after,
            )
            for _ in range(config.stages)
        )
        self._pin_zero()

    @property
    def stages(self) -> list[EMACodebook]:
        """The codebooks in order."""
        return cast("list[EMACodebook]", list(self.codebooks))

    def encode(self, z: Tensor) -> Tensor:
        """Return the codes ``[B, Q, T]`` of ``z`` ``[B, T, D]``, one row a stage."""
        # float32 even under autocast: ties are decided here.
        with torch.autocast(z.device.type, enabled=False):
            z = z.detach().to(self.stages[0].vectors.dtype)
            offsets = [stage.offsets() for stage in self.stages]
            if not self.carries:
                return self._nearest(z, offsets)[0]
            alike = F.cosine_similarity(z[:, 1:], z[:, :-1], dim=-1).clamp(min=0)  # [B, T - 1]
            if self.carries_all:
                alike = torch.ones_like(alike)
            share = F.pad(alike, (1, 0)).unsqueeze(-1)  # [B, T, 1] nothing comes before the first
            lost = torch.zeros_like(z[:, 0])  # [B, D]
            codes = []
            for own, kept in zip(z.unbind(1), share.unbind(1), strict=True):
                chosen, lost = self._nearest(torch.addcmul(own, kept, lost), offsets)
                codes.append(chosen)
            return torch.stack(codes, -1)

    def _nearest(self, z: Tensor, offsets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the codes ``[B, Q, ...]`` of ``z`` ``[B, ..., D]``, and what they lose of it."""
        codes = []
        for stage, own in zip(self.stages, offsets, strict=True):
            codes.append(stage.nearest_by(own, z))
            z = z - F.embedding(codes[-1], stage.vectors)
        return torch.stack(codes, 1), z

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum ``[B, T, D]`` of the vectors that ``codes`` ``[B, Q, T]`` name."""
        chosen = [stage.vectors[codes[:, q]] for q, stage in enumerate(self.stages)]
        return torch.stack(chosen).sum(0)

    def tables(self) -> Tensor:
        """Return the codebooks ``[Q, L, D]``."""
        return torch.stack([stage.vectors for stage in self.stages])

    @torch.no_grad()
    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Move every stage's codebook towards the residuals that reach it."""
        residual = dict(z)
        for stage in self.stages:
            codes = {modality: stage.nearest(own) for modality, own in residual.items()}
            left = {m: own - stage.vectors[codes[m]] for m, own in residual.items()}
            stage.update(residual, codes, masks)
            residual = left
        self._pin_zero()

    def _pin_zero(self) -> None:
        for stage in self.stages:
            stage.vectors[0] = 0
            stage.ema_sum[0] = 0
            stage.unused_for[0] = 0
