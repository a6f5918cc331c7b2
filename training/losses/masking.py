"""Means over the steps that are real."""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``values`` ``[B, T, ...]`` over the true steps of ``mask`` ``[B, T]``.

    0, with a zero gradient, where no step is true: a batch without a modality adds nothing.
    """
    per_step = values.flatten(2).mean(2) if values.dim() > 2 else values  # [B, T]
    return (per_step * mask).sum() / mask.sum().clamp(min=1)


def time_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over time ``[B, D]`` of ``values`` ``[B, T, D]``; 0 without a true step."""
    weights = mask.unsqueeze(-1).to(values.dtype)
    return (values * weights).sum(1) / weights.sum(1).clamp(min=1)


@torch.no_grad()
def variance(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over dimensions of the variance over true steps of ``[B, T, D]``."""
    mean = (values * mask.unsqueeze(-1)).sum((0, 1)) / mask.sum().clamp(min=1)  # [D]
    return masked_mean((values - mean).square(), mask)
