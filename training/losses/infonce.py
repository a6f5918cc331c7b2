"""Clip-level InfoNCE: a clip's modalities are nearer to one another than to other clips."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.modality import Modality
from training.losses.masking import time_mean


def clip_infonce(
    general: Mapping[Modality, Tensor],
    masks: Mapping[Modality, Tensor],
    *,
    temperature: float,
    others: Mapping[Modality, Tensor] | None = None,
    targets: Tensor | None = None,
) -> Tensor:
    """Return the sum over pairs of modalities of symmetric InfoNCE on time means, in nats.

    An extension, not part of SRCID: cross-modal CPC compares single steps, retrieval compares
    whole clips.

    Args:
        general: ``[B, T, D]``.
        masks: ``[B, T]``; a clip counts in a pair where both modalities are there.
        temperature: Of the cosines.
        others: What the second modality of a pair has instead of ``general``.
        targets: ``[B, B]`` logits of how far each clip (a column) is right for a row, as clips of
            one class are; only the clip itself by default.
    """
    pooled = {m: F.normalize(time_mean(z, masks[m]), dim=-1) for m, z in general.items()}
    partners = pooled
    if others is not None:
        partners = {m: F.normalize(time_mean(z, masks[m]), dim=-1) for m, z in others.items()}
    present = {m: mask.any(1) for m, mask in masks.items()}
    losses = []
    for m, n in combinations(general, 2):
        both = present[m] & present[n]
        scores = pooled[m] @ partners[n].T / temperature  # [B, B]
        lowest = torch.finfo(scores.dtype).min
        for direction in (scores, scores.T):
            found = direction.masked_fill(~both, lowest).log_softmax(1)
            if targets is None:
                matched = found.diagonal()
            else:
                matched = (targets.masked_fill(~both, lowest).softmax(1) * found).sum(1)
            losses.append(-(matched * both).sum() / both.sum().clamp(min=1) / 2)
    return torch.stack(losses).sum()
