"""The general encoder: what a modality shares with the others."""

import torch
from torch import Tensor, nn

from model.config import MapConfig, SRCIDConfig
from model.network.attention import MapAttention


class GeneralEncoder(nn.Module):
    """A projection and post-norm transformer layers, without positions.

    Without positions a clip of equal steps has equal vectors whatever its length, so that a
    picture can be one step.

    Source: Phi of SRCID eq. 1; ``InternalTemporalRelationModule`` of the published code.
    """

    def __init__(self, in_dim: int, config: SRCIDConfig, maps: MapConfig | None = None) -> None:
        super().__init__()
        self.attention = MapAttention(in_dim, maps) if maps else nn.Identity()
        self.project = nn.Linear(in_dim, config.dim)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.dim,
                config.num_heads,
                config.feedforward_dim,
                config.dropout,
                batch_first=True,
            )
            for _ in range(config.transformer_layers)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the general vectors ``[B, T, D]`` of ``x`` ``[B, T, *F]``.

        Args:
            x: Features, vectors or maps.
            mask: ``[B, T]``, false where a step is padding: nothing attends to it.
        """
        z = self.project(self.attention(x))
        # A row without any step still needs one to attend to, or its attention is 0 / 0.
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        padding = ~(mask | (first & ~mask.any(1, keepdim=True)))
        for block in self.blocks:
            z = block(z, src_key_padding_mask=padding)
        return z
