"""Keeps every dimension of a specific vector at mean 0 and variance 1."""

import torch
from torch import Tensor, nn

from model.distributed import sum_over_ranks

MOMENTUM = 0.05
EPS = 1e-5


class Standardize(nn.Module):
    """Batch normalization without weights, over the steps that are real.

    The MI term has a trivial optimum: a specific vector that is (nearly) constant says nothing
    of the general one. What is standardized has no such way out.

    In training the batch's own moments are used (over all ranks, where several train together),
    in evaluation their running means: plain means at first, so that a short run has them too.
    """

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))  # seen in training

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return ``[B, T, S]`` standardized; moments over the true steps of ``mask`` ``[B, T]``."""
        x = x.to(self.mean.dtype)  # sums over many steps are no work for bfloat16
        if not self.training:
            return self._scale(x, self.mean, self.variance)
        count = sum_over_ranks(mask.sum().to(x.dtype))
        if count < 2:
            return self._scale(x, self.mean, self.variance)
        weights = mask.unsqueeze(-1) / count
        mean = sum_over_ranks((x * weights).sum((0, 1)))
        variance = sum_over_ranks(((x - mean).square() * weights).sum((0, 1)))
        self.batches.add_(1)
        share = (1 / self.batches).clamp(min=MOMENTUM).to(x.dtype)
        self.mean.lerp_(mean.detach(), share)
        self.variance.lerp_(variance.detach(), share)
        return self._scale(x, mean, variance)

    def _scale(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return (x - mean) / (variance + EPS).sqrt()
