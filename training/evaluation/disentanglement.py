"""What the specific part still tells of the codes, and whether it says anything at all.

A CLUB network is fitted afresh to the checkpoint's own vectors, so that the figures need no
training log and are the same for every recipe.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID
from training.config import CLUBConfig
from training.data.bank import Bank
from training.losses.club import CLUB
from training.losses.masking import variance

FIT_STEPS = 300


class Disentanglement(NamedTuple):
    """One modality of one layer."""

    mi: float  # CLUB's bound of I(codes; specific), nats a step, on items it was not fitted to
    fit: float  # its fit loss there; at ``floor`` the specific vectors are constant
    floor: float  # -S / 2
    specific_variance: float  # mean over dimensions


def disentanglement(
    model: SRCID, bank: Bank, modality: Modality, *, fit_on: str, split: str
) -> list[Disentanglement]:
    """Return the figures of each layer, CLUB fitted on the split ``fit_on``."""
    fitted, held_out = (_vectors(model, bank, modality, own) for own in (fit_on, split))
    return [_estimate(*pair) for pair in zip(fitted, held_out, strict=True)]


@torch.inference_mode()
def _vectors(
    model: SRCID, bank: Bank, modality: Modality, split: str
) -> list[tuple[Tensor, Tensor]]:
    """Return each layer's quantized ``[N, 1, D]`` and specific ``[N, 1, S]`` vectors, by step.

    Of a layer that sets nothing specific apart, what it leaves to the next one stands for that.
    """
    parts = [layer for layer in model.stages if layer.specific] or model.stages[:-1]
    steps: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]
    device = next(model.parameters()).device
    for entry in bank.select(modality, split):
        features = bank.features[entry.id][:1].to(device)
        outputs = model({modality: features}).layers
        for own, layer, out in zip(steps, parts, outputs, strict=False):
            apart = (
                out.specific[modality].vector if layer.specific else layer.residual(out)[modality]
            )
            own.append((out.quantized[modality][0][:, None].cpu(), apart[0][:, None].cpu()))
    return [(torch.cat([x for x, _ in own]), torch.cat([y for _, y in own])) for own in steps]


def _estimate(fitted: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> Disentanglement:
    generator = torch.Generator().manual_seed(0)
    (x, y), (x_new, y_new) = ((a.clone(), b.clone()) for a, b in (fitted, held_out))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        club = CLUB(x.shape[-1], y.shape[-1], CLUBConfig())
    optimizer = torch.optim.Adam(club.parameters(), lr=1e-3)
    for _ in range(FIT_STEPS):
        rows = torch.randint(len(x), (256,), generator=generator)
        optimizer.zero_grad()
        club.fit_loss(x[rows], y[rows], _all(rows)).backward()
        optimizer.step()
    with torch.inference_mode():
        mask = _all(x_new)
        shuffled = torch.randperm(len(x_new), generator=generator)
        return Disentanglement(
            mi=club(x_new, y_new, mask, permutation=shuffled).item(),
            fit=club.fit_loss(x_new, y_new, mask).item(),
            floor=-y.shape[-1] / 2,
            specific_variance=variance(y_new, mask).item(),
        )


def _all(rows: Tensor) -> Tensor:
    return torch.ones(len(rows), 1, dtype=torch.bool)
