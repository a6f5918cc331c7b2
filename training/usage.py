"""How much of its codebook a batch uses, step by step: a collapse shows here first."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.modality import Modality


@torch.no_grad()
def codebook_usage(
    codes: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor], size: int
) -> dict[str, Tensor]:
    """Return ``codes_used`` and ``perplexity`` of a batch, all modalities together.

    Several codebooks (RVQ) give their mean. Perplexity is exp(entropy) of the codes' shares: how
    many codes carry the batch.

    Args:
        codes: ``[B, Q, T]``.
        masks: ``[B, T]``; padding chooses no code.
        size: L.
    """
    chosen = torch.cat([own.movedim(1, -1)[masks[m]] for m, own in codes.items()])  # [N, Q]
    rows = torch.arange(chosen.shape[1], device=chosen.device)
    counts = torch.bincount((chosen + rows * size).flatten(), minlength=len(rows) * size)
    counts = counts.view(len(rows), size).float()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    entropy = -torch.xlogy(shares, shares).sum(1)
    return {"codes_used": (counts > 0).sum(1).float().mean(), "perplexity": entropy.exp().mean()}
