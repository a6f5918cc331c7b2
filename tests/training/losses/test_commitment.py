"""Commitment against a loop over elements."""

import pytest
import torch

from model.modality import Modality
from training.losses.commitment import commitment

from .conftest import B, Paired, T


def by_loops(paired: Paired, quantized: dict, beta: float) -> dict[Modality, float]:
    def mse(m: Modality, n: Modality) -> float:
        steps = [
            (paired.z[m][b, t] - quantized[n][b, t]).square().mean().item()
            for b in range(B)
            for t in range(T)
            if paired.masks[m][b, t] and paired.masks[n][b, t]
        ]
        return sum(steps) / len(steps)

    return {
        m: 2 * beta * mse(m, m) + sum(beta / 2 * mse(m, n) for n in Modality if n != m)
        for m in Modality
    }


def test_it_is_the_weighted_sum_over_own_and_other_codes(paired: Paired) -> None:
    quantized = {m: torch.randn_like(z) for m, z in paired.z.items()}
    ours = commitment(paired.z, quantized, paired.masks, beta=0.25)
    for m, expected in by_loops(paired, quantized, 0.25).items():
        assert ours[m].item() == pytest.approx(expected, rel=1e-12)


def test_unpaired_it_is_beta_times_the_own_distance(paired: Paired) -> None:
    quantized = {m: torch.randn_like(z) for m, z in paired.z.items()}
    ours = commitment(paired.z, quantized, paired.masks, beta=0.25, paired=False)
    for m, z in paired.z.items():
        steps = paired.masks[m]
        expected = 0.25 * (z[steps] - quantized[m][steps]).square().mean()
        assert ours[m].item() == pytest.approx(expected.item(), rel=1e-12)


def test_no_gradient_reaches_the_codes(paired: Paired) -> None:
    z = {m: own.clone().requires_grad_() for m, own in paired.z.items()}
    quantized = {m: torch.randn_like(own).requires_grad_() for m, own in z.items()}
    torch.stack(list(commitment(z, quantized, paired.masks, beta=0.25).values())).sum().backward()
    assert all(own.grad is not None and own.grad.abs().sum() > 0 for own in z.values())
    assert all(own.grad is None for own in quantized.values())


def test_two_modalities_weigh_two_beta_and_beta(paired: Paired) -> None:
    z = {m: paired.z[m] for m in (Modality.AUDIO, Modality.TEXT)}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in z}
    ones = {m: own + 1 for m, own in z.items()}
    away = ones | {Modality.TEXT: z[Modality.AUDIO] + 2}
    loss = commitment(z, away, masks, beta=0.25)[Modality.AUDIO]
    assert loss.item() == pytest.approx(2 * 0.25 * 1 + 0.25 * 4)
