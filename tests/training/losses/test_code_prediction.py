"""Code prediction against a loop, and the vote that it foretells."""

import math

import pytest
import torch

from model.modality import Modality
from model.quantizers.codebook import clip_vote
from training.losses.code_prediction import FLOOR, code_prediction

from .conftest import B, D, Paired, T

CODES, TEMPERATURE = 7, 0.3


def table() -> torch.Tensor:
    return torch.randn(CODES, D, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def shares(z: torch.Tensor) -> torch.Tensor:
    """Return softmax_k(-|z - e_k|^2 / (2 D temperature)) of one vector, by its definition."""
    powers = [math.exp(-float((z - e).square().sum()) / (2 * D * TEMPERATURE)) for e in table()]
    return torch.tensor([own / sum(powers) for own in powers], dtype=torch.float64)


def vote_of(paired: Paired, b: int) -> torch.Tensor | None:
    there = [
        paired.z[m][b][paired.masks[m][b]].mean(0) for m in Modality if paired.masks[m][b].any()
    ]
    if not there:
        return None
    total = sum(own / own.norm() for own in there)
    return total / total.norm() * D**0.5


def test_the_vote_is_the_direction_of_the_modalities_mean_directions(paired: Paired) -> None:
    votes, present = clip_vote(paired.z, paired.masks)
    for b in range(B):
        expected = vote_of(paired, b)
        assert bool(present[b]) == (expected is not None)
        if expected is not None:
            torch.testing.assert_close(votes[b], expected)


def test_it_is_the_cross_entropy_with_the_votes_codes(paired: Paired) -> None:
    found = code_prediction(paired.z, table(), paired.masks, temperature=TEMPERATURE)
    for m in Modality:
        losses = []
        for b in range(B):
            steps = paired.z[m][b][paired.masks[m][b]]
            if len(steps):
                own = torch.stack([shares(z) for z in steps]).mean(0)
                losses.append(-float((shares(vote_of(paired, b)) * (own + FLOOR).log()).sum()))
        assert found[m].item() == pytest.approx(sum(losses) / len(losses), rel=1e-9)


def test_modalities_move_to_the_vote_and_the_vote_does_not_move_to_them(paired: Paired) -> None:
    """The gradient of one modality's loss reaches that modality alone, and no padding of it."""
    z = {m: own.clone().requires_grad_(True) for m, own in paired.z.items()}
    code_prediction(z, table(), paired.masks, temperature=TEMPERATURE)[Modality.AUDIO].backward()
    assert z[Modality.VIDEO].grad is None or not z[Modality.VIDEO].grad.any()
    gradient = z[Modality.AUDIO].grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient[paired.masks[Modality.AUDIO]].any()
    assert not gradient[~paired.masks[Modality.AUDIO]].any()


def test_descent_makes_modalities_choose_one_code() -> None:
    torch.manual_seed(0)
    z = {m: torch.randn(40, T, D, dtype=torch.float64, requires_grad=True) for m in Modality}
    masks = {m: torch.ones(40, T, dtype=torch.bool) for m in Modality}

    def agreeing() -> float:
        codes = [torch.cdist(own.detach().mean(1), table()).argmin(1) for own in z.values()]
        return float(((codes[0] == codes[1]) & (codes[1] == codes[2])).double().mean())

    before = agreeing()
    optimizer = torch.optim.Adam(list(z.values()), lr=0.05)
    for _ in range(100):
        losses = code_prediction(z, table(), masks, temperature=0.05)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assert agreeing() > 0.9 > 0.5 > before
