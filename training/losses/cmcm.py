"""Cross-modal code matching: paired clips should spread over the codebook alike."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from model.modality import Modality
from training.config import CMCMConfig
from training.losses.masking import time_mean


def cross_modal_code_matching(
    general: Mapping[Modality, Tensor],
    codebook: Tensor,
    masks: Mapping[Modality, Tensor],
    config: CMCMConfig,
) -> Tensor:
    """Return half the sum over pairs of modalities of the matching loss, in nats.

    P(code | clip) is the mean over steps of softmax(-distance / temperature). The score of two
    clips is the negative symmetric cross-entropy of their distributions; each clip must score
    highest with its own pair among the batch.

    Args:
        general: ``[B, T, D]``, before quantization.
        codebook: ``[L, D]``; no gradient goes to it.
        masks: ``[B, T]``; a clip counts in a pair where both modalities are there.
        config: Temperature, and which form of the score.

    Source: Liu et al., "Cross-modal discrete representation learning", 2021; SRCID eq. 8.
    """
    log_p, p = {}, {}
    codebook = codebook.detach()
    for m, z in general.items():
        # Not squared, as published; the clamp keeps the root's gradient finite at a code itself.
        squared = z.square().sum(-1, keepdim=True) + codebook.square().sum(-1)
        squared = squared - 2 * z @ codebook.T  # [B, T, L]
        distance = squared.clamp(min=1e-12).sqrt()
        p[m] = time_mean((-distance / config.temperature).softmax(-1), masks[m])  # [B, L]
        log_p[m] = (p[m] + 1e-10).log()
    present = {m: mask.any(1) for m, mask in masks.items()}
    losses = []
    for m, n in combinations(general, 2):
        first, second = p[m] @ log_p[n].T, p[n] @ log_p[m].T  # [B, B]
        scores = first + second if config.form == "published" else first + second.T
        both = present[m] & present[n]
        scores = scores.masked_fill(~both, torch.finfo(scores.dtype).min)
        matched = scores.log_softmax(1).diagonal()
        if config.form == "symmetric":
            matched = (
                matched
                + scores.T.masked_fill(~both, torch.finfo(scores.dtype).min)
                .log_softmax(1)
                .diagonal()
            ) / 2
        losses.append(-(matched * both).sum() / both.sum().clamp(min=1))
    return torch.stack(losses).sum() / 2
