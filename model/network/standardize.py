"""Keeps every dimension of a specific vector at mean 0 and variance 1."""

import torch
from torch import Tensor, nn

MOMENTUM = 0.05
EPS = 1e-5


class Standardize(nn.Module):
    """Batch normalization without weights, over the steps that are real.

    The MI term has a trivial optimum: a specific vector that is (nearly) constant says nothing
    of the general one. What is standardized has no such way out.

    In training the batch's own moments are used, in evaluation their running means.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return ``[B, T, S]`` standardized; moments over the true steps of ``mask`` ``[B, T]``."""
        if not self.training or mask.sum() < 2:
            return (x - self.mean) / (self.variance + EPS).sqrt()
        weights = mask.unsqueeze(-1) / mask.sum()
        mean = (x * weights).sum((0, 1))
        variance = ((x - mean).square() * weights).sum((0, 1))
        self.mean.lerp_(mean.detach(), MOMENTUM)
        self.variance.lerp_(variance.detach(), MOMENTUM)
        return (x - mean) / (variance + EPS).sqrt()
