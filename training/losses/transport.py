"""Prototype transport: paired clips should choose the same prototypes, all of them in use."""

from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.modality import Modality
from training.config import TransportConfig
from training.losses.masking import time_mean


def prototype_transport(
    general: Mapping[Modality, Tensor],
    prototypes: Tensor,
    masks: Mapping[Modality, Tensor],
    config: TransportConfig,
) -> Tensor:
    """Return what moving the clips to the prototypes costs, and how badly pairs foretell it.

    Each modality's clips are moved to the prototypes by the optimal plan under which every
    prototype gets an equal share; the cost of a move is 1 - cosine. The first term is the plans'
    cost. The second is swapped prediction: a clip's softmax over the prototypes in one modality
    is to be its row of another modality's plan (cross-entropy in nats, summed over the pairs,
    the mean of both directions).

    Args:
        general: ``[B, T, D]``; a clip is its mean over time.
        prototypes: ``[L, D]``; they learn by this loss.
        masks: ``[B, T]``; a clip counts where the modality, or both of a pair, are there.
        config: How the plan is found, and the temperature of the softmax.

    Source: Duan et al., "Multi-modal alignment using representation codebook" (CODIS), 2022,
    without the momentum teacher: the plans come from the same network, without gradient.
    """
    names = F.normalize(prototypes, dim=-1)
    cosines = {m: F.normalize(time_mean(z, masks[m]), dim=-1) @ names.T for m, z in general.items()}
    present = {m: mask.any(1) for m, mask in masks.items()}  # [B]
    plans = {m: transport_plan(1 - own, present[m], config) for m, own in cosines.items()}
    moved = [(plans[m] * (1 - own)).sum() for m, own in cosines.items()]
    swapped = []
    for m, n in permutations(general, 2):
        both = present[m] & present[n]
        wanted = plans[n] * present[n].sum()  # [B, L] rows sum to 1
        cross = -(wanted * (cosines[m] / config.temperature).log_softmax(1)).sum(1)
        swapped.append((cross * both).sum() / both.sum().clamp(min=1) / 2)
    return torch.stack(moved + swapped).sum()


@torch.no_grad()
def transport_plan(cost: Tensor, present: Tensor, config: TransportConfig) -> Tensor:
    """Return the plan ``[B, L]`` that moves clips to prototypes at the least ``cost`` ``[B, L]``.

    Clips that are ``present`` ``[B]`` weigh the same and sum to 1, the others weigh nothing;
    prototypes get 1 / L each, up to what the iterations leave.

    Source: Cuturi, "Sinkhorn distances", 2013: entropic transport, where CODIS iterates towards
    the exact one (IPOT).
    """
    share = present.to(cost.dtype) / present.sum().clamp(min=1)  # [B]
    kernel = (-cost / config.epsilon).exp()
    rows = share
    for _ in range(config.iterations):
        columns = 1 / cost.shape[1] / (rows @ kernel).clamp(min=1e-30)  # [L]
        rows = share / (kernel @ columns)  # [B]
    return rows.unsqueeze(1) * kernel * columns
