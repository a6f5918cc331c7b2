"""Sums over the ranks of a distributed run, for the one layer that needs the whole batch.

Everything else that ranks do together stands in ``training/distributed.py``.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def several_ranks() -> bool:
    """Tell whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_ranks(x: Tensor) -> Tensor:
    """Return the sum of all ranks' ``x``, with gradient; ``x`` itself in a single process."""
    return _SumOverRanks.apply(x) if several_ranks() else x  # type: ignore[no-untyped-call]  # torch's


class _SumOverRanks(torch.autograd.Function):
    """Every rank's ``x`` is in every rank's sum, so the gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
