"""The optimizers: which parameters belong together, how they are clipped, how fast they learn."""

import math
from collections.abc import Iterable

from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from model.srcid import SRCID
from training.config import OptimConfig
from training.losses.objective import Objective


def clip_groups(model: SRCID, objective: Objective) -> list[list[Parameter]]:
    """Return the parameters of the main optimizer by the module that is clipped as one.

    Source: the published trainer clips stem, encoders, CPC (each layer) and decoders separately.
    """
    decoders = [p for layer in model.stages for p in layer.decoder.parameters()]
    apart = {id(p) for p in decoders} | {id(p) for p in model.stems.parameters()}
    groups = [
        list(model.stems.parameters()),
        [p for p in model.parameters() if id(p) not in apart],
        decoders,
        *(list(own.cpc.parameters()) for own in objective.stages),
    ]
    return [group for group in groups if group]


def club_groups(objective: Objective) -> list[list[Parameter]]:
    """Return the parameters of each CLUB network."""
    return [list(club.parameters()) for own in objective.stages for club in own.clubs.values()]


def build_optimizer(groups: Iterable[list[Parameter]], lr: float) -> Adam:
    """Return Adam over ``groups``, each of which ``descend`` clips as one."""
    return Adam([{"params": group} for group in groups], lr=lr)


def build_schedule(optimizer: Optimizer, config: OptimConfig, total_steps: int) -> LambdaLR:
    """Return the learning-rate schedule: linear warm-up, then constant or a half cosine."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
        if config.schedule == "constant":
            return warm
        return warm * (1 + math.cos(math.pi * min(1.0, step / total_steps))) / 2

    return LambdaLR(optimizer, factor)


def descend(optimizer: Optimizer, loss: Tensor, clip_norm: float) -> None:
    """Take one step down ``loss``, the gradient of each group clipped to ``clip_norm``."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimizer.param_groups:
        clip_grad_norm_(group["params"], clip_norm)
    optimizer.step()
