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
    p = {
        m: _code_distribution(z, codebook.detach(), masks[m], config.temperature)
        for m, z in general.items()
    }
    log_p = {m: (own + 1e-10).log() for m, own in p.items()}
    present = {m: mask.any(1) for m, mask in masks.items()}
    losses = []
    for m, n in combinations(general, 2):
        first, second = p[m] @ log_p[n].T, p[n] @ log_p[m].T  # [B, B]
        scores = first + second if config.form == "published" else first + second.T
        both = present[m] & present[n]
        matched = _log_matched(scores, both)
        if config.form == "symmetric":
            matched = (matched + _log_matched(scores.T, both)) / 2
        losses.append(-matched.sum() / both.sum().clamp(min=1))
    return torch.stack(losses).sum() / 2


def _code_distribution(z: Tensor, codebook: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Return P(code | clip) ``[B, L]`` of vectors ``[B, T, D]``."""
    # Not squared, as published; the clamp keeps the root's gradient finite at a code itself.
    squared = z.square().sum(-1, keepdim=True) + codebook.square().sum(-1)
    squared = squared - 2 * z @ codebook.T  # [B, T, L]
    distance = squared.clamp(min=1e-12).sqrt()
    return time_mean((-distance / temperature).softmax(-1), mask)


def _log_matched(scores: Tensor, both: Tensor) -> Tensor:
    """Return ``[B]`` each clip's log-probability of its own pair; 0 where a modality is absent."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~both, lowest).log_softmax(1).diagonal().masked_fill(~both, 0)
