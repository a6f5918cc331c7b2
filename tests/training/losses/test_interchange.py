"""Interchange against a loop over pairs, clips and steps."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from model.modality import Modality
from training.losses.interchange import Interchange

from .conftest import B, D, Paired, T

CHANNELS = {Modality.AUDIO: 5, Modality.VIDEO: 6, Modality.TEXT: 7}


@pytest.fixture
def targets() -> dict[Modality, Tensor]:
    torch.manual_seed(8)
    shapes = {m: (own,) for m, own in CHANNELS.items()} | {Modality.VIDEO: (2, 3, 6)}
    return {m: torch.randn(B, T, *shape, dtype=torch.float64) for m, shape in shapes.items()}


@torch.no_grad()
def by_loops(interchange: Interchange, paired: Paired, targets: dict[Modality, Tensor]) -> float:
    total = 0.0
    for m, n in permutations(Modality, 2):
        errors = []
        for b in range(B):
            if not paired.masks[m][b].any():
                continue
            core = paired.z[m][b][paired.masks[m][b]].mean(0)
            decoded = interchange.decoders[n](core)
            for t in range(T):
                if paired.masks[n][b, t]:
                    target = targets[n][b, t].reshape(-1, CHANNELS[n]).mean(0)
                    errors.append(float((decoded - target).square().mean()))
        total += sum(errors) / len(errors)
    return total


def test_it_is_the_error_of_every_modality_from_every_other(
    paired: Paired, targets: dict[Modality, Tensor]
) -> None:
    torch.manual_seed(9)
    interchange = Interchange(D, CHANNELS).double()
    ours = interchange(paired.z, targets, paired.masks)
    assert ours.item() == pytest.approx(by_loops(interchange, paired, targets), rel=1e-9)


def test_no_modality_is_decoded_from_itself(targets: dict[Modality, Tensor]) -> None:
    """With one modality there is nothing to interchange it with, with two there are two errors."""
    interchange = Interchange(D, CHANNELS).double()
    z = {m: torch.randn(B, T, D, dtype=torch.float64, requires_grad=True) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    masks[Modality.AUDIO][:] = masks[Modality.VIDEO][:] = False
    assert interchange(z, targets, masks).item() == 0.0
    masks[Modality.AUDIO][:] = True
    interchange(z, targets, masks).backward()
    assert z[Modality.AUDIO].grad is not None
    assert z[Modality.AUDIO].grad.abs().sum() > 0
    assert z[Modality.VIDEO].grad is None or z[Modality.VIDEO].grad.abs().sum() == 0
