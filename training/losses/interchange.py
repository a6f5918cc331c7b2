"""Interchange: one modality's codes must give another modality's features back."""

from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor, nn

from model.modality import Modality
from training.losses.masking import masked_mean, time_mean


class Interchange(nn.Module):
    """Decodes each modality from the codes of every other one, pooled to one vector per clip.

    Args:
        dim: D, of the quantized vectors.
        channels: F of each modality's features.

    Source: Zhao et al., "Towards effective multi-modal interchanges in zero-resource sounding
    object localization" (TURN), 2022. Its decoders also see part of the modality that they
    decode; ours see none of it, so that everything comes from the codes.
    """

    def __init__(self, dim: int, channels: Mapping[Modality, int]) -> None:
        super().__init__()
        self.decoders = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, own))
                for m, own in channels.items()
            }
        )

    def forward(
        self,
        quantized: Mapping[Modality, Tensor],
        targets: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
    ) -> Tensor:
        """Return the sum over ordered pairs of modalities of the mean squared error.

        Args:
            quantized: ``[B, T, D]``.
            targets: ``[B, T, *F]``; a map is averaged over its cells.
            masks: ``[B, T]``; a step counts where its clip also has the other modality.
        """
        cores = {m: time_mean(own, masks[m]) for m, own in quantized.items()}  # [B, D]
        losses = []
        for m, n in permutations(quantized, 2):
            target = targets[n].flatten(2, -2).mean(2) if targets[n].dim() > 3 else targets[n]
            decoded = self.decoders[n](cores[m]).unsqueeze(1)  # [B, 1, F] the same at every step
            mask = masks[n] & masks[m].any(1, keepdim=True)
            losses.append(masked_mean((decoded - target).square(), mask))
        return torch.stack(losses).sum()
