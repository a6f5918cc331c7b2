"""Several processes, one run: ``torchrun --nproc-per-node N -m app train ...``.

Each rank runs the network on its slice of the batch. ``gather_output`` then gives every rank the
output for the whole batch, and from there on every rank does exactly what a single process
does: negatives, shuffles, masked means and codebook statistics are those of the whole batch
without a line of their own.

The gradient of ``gather`` hands a rank the gradient of its own slice, times the number of ranks;
``average`` then takes the mean of all parameters' gradients over the ranks. For the network, of
which each rank saw a slice, the two make the sum over slices. For the losses' own networks (CPC,
CLUB), which every rank ran on the whole batch, the mean is of equal gradients and only keeps
rounding from driving the ranks apart. docs/decisions/0010 weighs this against the alternatives.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from model.distributed import several_ranks
from model.network.layer import LayerOutput
from model.network.specific import Specific
from model.srcid import SRCIDOutput

PATIENCE = timedelta(hours=1)  # for the rank that extracts features while the others wait


@contextmanager
def ranks(device: str) -> Iterator[str]:
    """Join the other ranks where torchrun started this process; yield this rank's device.

    Ranks that a caller has joined already are left as they are, and so is ``device``.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield device
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    if not is_main():
        logging.getLogger("training").setLevel(logging.ERROR)  # said once is enough
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if several_ranks() else 0


def num_ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if several_ranks() else 1


def is_main() -> bool:
    """Tell whether this is the rank that writes files and speaks."""
    return rank() == 0


@contextmanager
def main_first() -> Iterator[None]:
    """Let rank 0 through the block before the others: it fills a cache that they then read."""
    if several_ranks() and not is_main():
        dist.barrier()
    yield
    if several_ranks() and is_main():
        dist.barrier()


def agree(value: bool, device: str) -> bool:
    """Return rank 0's ``value`` on every rank."""
    flag = torch.tensor(int(value), device=device)
    broadcast([flag])
    return bool(flag)


@torch.no_grad()
def broadcast(tensors: Iterable[Tensor]) -> None:
    """Overwrite ``tensors`` by those of rank 0, in one exchange for each type of number."""
    if not several_ranks():
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for alike in by_type.values():
        flat = torch.cat([tensor.flatten() for tensor in alike])
        dist.broadcast(flat, src=0)
        _fill(alike, flat)


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Overwrite ``tensors`` by their means over the ranks, in one exchange."""
    if not several_ranks():
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    _fill(tensors, flat / num_ranks())


def _fill(tensors: Sequence[Tensor], flat: Tensor) -> None:
    """Overwrite ``tensors`` by the parts of ``flat``, in order."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def gather(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return all ranks' ``tensors`` ``[B / ranks, ...]`` as ``[B, ...]``, in the order of ranks.

    All are of one dtype and travel in one exchange. What flows back to a rank is the gradient of
    its own slice times the number of ranks.
    """
    if not several_ranks():
        return list(tensors)
    flat = torch.cat([x.flatten(1) for x in tensors], 1)
    whole: Tensor = _Gather.apply(flat)  # type: ignore[no-untyped-call]  # torch's
    parts = whole.split([x[0].numel() for x in tensors], 1)
    return [part.reshape(-1, *x.shape[1:]) for part, x in zip(parts, tensors, strict=True)]


def gather_output(output: SRCIDOutput, dtype: torch.dtype) -> SRCIDOutput:
    """Return the whole batch's output, its floats as ``dtype`` (autocast may have made others).

    The maps of ``Specific`` are left out: only the decoders, which have run, read them.
    """
    own: list[Tensor] = []

    def note(x: Tensor) -> Tensor:
        own.append(x.to(dtype) if x.is_floating_point() else x)
        return x

    _map_output(output, note)
    floats = iter(gather([x for x in own if x.is_floating_point()]))
    codes = iter(gather([x for x in own if not x.is_floating_point()]))
    return _map_output(output, lambda x: next(floats if x.is_floating_point() else codes))


def _map_output(output: SRCIDOutput, change: Callable[[Tensor], Tensor]) -> SRCIDOutput:
    """Return ``output`` with every tensor changed, always in the same order."""
    layers = [
        LayerOutput(
            **{
                part.name: {m: change(x) for m, x in getattr(out, part.name).items()}
                for part in fields(out)
                if part.name != "specific"
            },
            specific={m: Specific(change(x.vector), None) for m, x in out.specific.items()},
        )
        for out in output.layers
    ]
    targets = [{m: change(x) for m, x in own.items()} for own in output.targets]
    return SRCIDOutput(layers, targets)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        slices = [torch.empty_like(x) for _ in range(num_ranks())]
        dist.all_gather(slices, x)
        return torch.cat(slices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        own = gradients[0].chunk(num_ranks())[rank()]
        return own * num_ranks()
