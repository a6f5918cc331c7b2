"""The optimizers: which parameters belong together, how they are clipped, how fast they learn."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from model.srcid import SRCID
from training.config import OptimConfig
from training.distributed import average
from training.losses.objective import Objective


def clip_groups(model: SRCID, objective: Objective) -> dict[str, list[Parameter]]:
    """Return the parameters of the main optimizer by the module that is clipped as one.

    Source: the published trainer clips stem, encoders, CPC (each layer) and decoders separately;
    interchange is not in it.
    """
    decoders = [p for layer in model.stages for p in layer.decoder.parameters()]
    apart = {id(p) for p in decoders} | {id(p) for p in model.stems.parameters()}
    groups = {
        "stems": list(model.stems.parameters()),
        "encoders": [p for p in model.parameters() if id(p) not in apart],
        "decoders": decoders,
    }
    for depth, own in enumerate(objective.stages, start=1):
        groups[f"layer{depth}/cpc"] = list(own.cpc.parameters())
        if own.interchange is not None:
            groups[f"layer{depth}/interchange"] = list(own.interchange.parameters())
    return {name: group for name, group in groups.items() if group}


def club_groups(objective: Objective) -> dict[str, list[Parameter]]:
    """Return the parameters of each CLUB network."""
    return {
        f"layer{depth}/club/{m}": list(club.parameters())
        for depth, own in enumerate(objective.stages, start=1)
        for m, club in own.clubs.items()
    }


def build_optimizer(groups: Mapping[str, list[Parameter]], lr: float) -> Adam:
    """Return Adam over ``groups``, each of which ``descend`` clips as one."""
    named = [{"params": group, "name": name} for name, group in groups.items()]
    return Adam(named, lr=lr, fused=True)


def build_schedule(
    optimizer: Optimizer, config: OptimConfig, *, total_steps: int, epoch_steps: int
) -> LambdaLR:
    """Return the learning-rate schedule: linear warm-up, times the curve of ``config.schedule``."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
        match config.schedule:
            case "constant":
                return warm
            case "cosine":
                return warm * (1 + math.cos(math.pi * min(1.0, step / total_steps))) / 2
            case "multistep":
                passed = sum(step >= epoch * epoch_steps for epoch in config.milestones)
                return warm * config.gamma**passed

    return LambdaLR(optimizer, factor)


def descend(optimizer: Optimizer, loss: Tensor, clip_norm: float) -> dict[str, Tensor]:
    """Take one step down ``loss``, the gradient of each group clipped to ``clip_norm``.

    Gradients are averaged over the ranks first. Parameters that the loss does not reach (layer
    2 before it joins) have none, and stay as they are. Where a norm is not finite, nothing is
    changed: the caller finds it in the result.

    Returns:
        The norm of each group's gradient before it was clipped, by the group's name.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    groups = {
        group["name"]: [p for p in group["params"] if p.grad is not None]
        for group in optimizer.param_groups
    }
    average([p.grad for group in groups.values() for p in group if p.grad is not None])
    norms = {name: clip_grad_norm_(group, clip_norm) for name, group in groups.items() if group}
    if torch.stack(list(norms.values())).isfinite().all():
        optimizer.step()
    return norms
