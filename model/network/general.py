"""The general encoder: what a modality shares with the others."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import MapConfig, SRCIDConfig
from model.network.attention import MapAttention


class Unchanged(nn.Module):
    """Takes the place of an encoder where vectors are general already."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return ``x`` ``[B, T, D]``; ``mask`` ``[B, T]`` changes nothing."""
        del mask
        return x


class StepBlock(nn.Module):
    """A post-norm transformer layer without its attention: each step by itself."""

    def __init__(self, config: SRCIDConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.linear1 = nn.Linear(config.dim, config.feedforward_dim)
        self.linear2 = nn.Linear(config.feedforward_dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Return ``[..., D]`` for vectors ``[..., D]``."""
        z = self.norm1(z)
        return self.norm2(z + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(z))))))


class GeneralEncoder(nn.Module):
    """A projection and post-norm transformer layers, without positions.

    Without positions a clip of equal steps has equal vectors whatever its length, so that a
    picture can be one step. With ``attention`` off in the configuration, a step's vector does not
    depend on the other steps at all.

    Source: Phi of SRCID eq. 1; ``InternalTemporalRelationModule`` of the published code.
    """

    def __init__(self, in_dim: int, config: SRCIDConfig, maps: MapConfig | None = None) -> None:
        super().__init__()
        self.attention = MapAttention(in_dim, maps) if maps else nn.Identity()
        self.project = nn.Linear(in_dim, config.dim)
        self.attends = config.attention
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.dim,
                config.num_heads,
                config.feedforward_dim,
                config.dropout,
                batch_first=True,
            )
            if self.attends
            else StepBlock(config)
            for _ in range(config.transformer_layers)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the general vectors ``[B, T, D]`` of ``x`` ``[B, T, *F]``.

        Args:
            x: Features, vectors or maps.
            mask: ``[B, T]``, false where a step is padding: nothing attends to it.
        """
        if not self.attends:
            z = self.project.weight.new_zeros(*mask.shape, self.project.out_features)
            z[mask] = self._steps(x[mask].unsqueeze(1)).squeeze(1)  # padding costs nothing
            return z
        z = self.project(self.attention(x))
        # A row without any step still needs one to attend to, or its attention is 0 / 0.
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        padding = ~(mask | (first & ~mask.any(1, keepdim=True)))
        for block in self.blocks:
            z = block(z, src_key_padding_mask=padding)
        return z

    @torch.no_grad()
    def add_nothing(self) -> None:
        """Zero what the blocks add to the projection, of which they then keep the direction."""
        for last in self._last():
            last.weight.zero_()
            last.bias.zero_()

    @property
    def adds_nothing(self) -> bool:
        """Whether the blocks add nothing to the projection."""
        return not any(last.weight.any() or last.bias.any() for last in self._last())

    def _last(self) -> Iterator[nn.Linear]:
        """Yield the layers whose output is added."""
        for block in self.blocks:
            if isinstance(block, nn.TransformerEncoderLayer):
                yield block.self_attn.out_proj
            yield cast("nn.Linear", block.linear2)

    def _steps(self, x: Tensor) -> Tensor:
        """Return ``[N, 1, D]`` for steps ``[N, 1, *F]``, each by itself."""
        z = self.project(self.attention(x))
        for block in self.blocks:
            z = block(z)
        return z
