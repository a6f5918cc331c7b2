"""Linear probes on frozen codes: what a class looks like in one modality's codes.

Shape letters: B batch, N clips, T steps, D vector dim, C classes, U distinct vectors.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import FrozenModel
from training.evaluation.tasks import Kind


class ProbeConfig(FrozenModel):
    """How a probe is trained. The defaults are the published code's."""

    lr: PositiveFloat = 4e-4
    milestones: tuple[PositiveInt, ...] = (10, 20, 30)  # epochs at which the rate halves
    clip_norm: PositiveFloat = 0.5
    batch_size: PositiveInt = 80
    seed: NonNegativeInt = 43


class StepVectors(NamedTuple):
    """The vectors of clips. Codes repeat, so each distinct vector is kept once."""

    table: Tensor  # [U, D]
    rows: Tensor  # [N, T] of ``table``

    @classmethod
    def of(cls, vectors: Tensor) -> Self:
        """Keep ``vectors`` ``[N, T, D]`` as they are."""
        table = vectors.flatten(0, 1)
        return cls(table, torch.arange(len(table)).view(vectors.shape[:2]))


class Probe(nn.Module):
    """Linear(D, D), then for a whole clip the maximum over its steps, then Linear(D, C).

    There is no nonlinearity but that maximum. Source: ``Semantic_Decoder`` (classification) and
    ``Semantic_Decoder_AVVP`` (localisation) of the published code.
    """

    def __init__(self, dim: int, classes: int, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        self.hidden = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, clips: StepVectors) -> Tensor:
        """Return logits: ``[N, C]`` of clips, ``[N, T, C]`` of their steps."""
        distinct, inverse = clips.rows.unique(return_inverse=True)
        hidden = self.hidden(clips.table[distinct])
        if self.kind == "localisation":
            return self.head(hidden)[inverse]
        return self.head(hidden[inverse].amax(1))


class ExpLogLoss(nn.Module):
    """-sum_c y_c log softmax(logits)_c exp(-alpha_c), the mean over rows; alpha is learned.

    As published, alpha is not bounded, so it may grow until the term is constant.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((classes,), 0.1))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of ``logits`` and ``labels`` ``[..., C]``."""
        return -(labels * logits.log_softmax(-1) * (-self.alpha).exp()).sum(-1).mean()


def probe_epochs(
    clips: StepVectors,
    labels: Tensor,
    *,
    kind: Kind,
    classes: int,
    epochs: int,
    epoch_steps: int | None,
    config: ProbeConfig,
) -> Iterator[Probe]:
    """Train a probe and yield it after each epoch.

    Args:
        clips: The vectors of N clips.
        labels: ``[N]`` classes of clips, or ``[N, T, C]`` what happens in each step.
        kind: Of the probe; it decides the loss.
        classes: C.
        epochs: How often it is yielded.
        epoch_steps: Batches of an epoch, going round the clips; None: each clip once.
        config: The optimizer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        probe = Probe(clips.table.shape[1], classes, kind)
    explog = ExpLogLoss(classes)
    modules = nn.ModuleList([probe, explog])
    optimizer = torch.optim.Adam(modules.parameters(), lr=config.lr, fused=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, config.milestones, gamma=0.5)
    generator = torch.Generator().manual_seed(config.seed)
    batches = _batches(len(labels), config.batch_size, generator)
    steps = epoch_steps or -(-len(labels) // config.batch_size)
    for _ in range(epochs):
        for _ in range(steps):
            chosen = next(batches)
            logits = probe(StepVectors(clips.table, clips.rows[chosen]))
            target = labels[chosen]
            loss = F.cross_entropy(logits, target) if kind == "classification" else (
                F.binary_cross_entropy_with_logits(logits, target.float()) + explog(logits, target)
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(modules.parameters(), config.clip_norm)
            optimizer.step()
        schedule.step()
        yield probe


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of indices for ever; each round has all of them once, in a new order."""
    while True:
        yield from torch.randperm(count, generator=generator).split(size)
