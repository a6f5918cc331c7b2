"""CLUB against a loop, and against mathematics: it bounds the true mutual information."""

import math

import pytest
import torch
from torch import Tensor

from training.config import CLUBConfig
from training.losses.club import CLUB

from .conftest import B, D, Paired, T

Y = 3


def pairs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(B, T, D, dtype=torch.float64)
    return x, torch.randn(B, T, Y, dtype=torch.float64)


def network(*, time_first: bool = False) -> CLUB:
    torch.manual_seed(2)
    return CLUB(D, Y, CLUBConfig(hidden_dim=8, time_first=time_first)).double()


def gaps() -> Tensor:
    mask = torch.ones(B, T, dtype=torch.bool)
    mask[0, 3:] = False
    mask[4] = False
    return mask


def test_the_fit_is_the_negative_log_likelihood_of_true_pairs() -> None:
    (x, y), club, mask = pairs(), network(), gaps()
    mean, lv = club.mean(x).detach(), club.log_variance(x).detach()
    steps = [
        sum(
            ((mean[b, t, d] - y[b, t, d]) ** 2 / lv[b, t, d].exp() + lv[b, t, d]).item() / 2
            for d in range(Y)
        )
        for b in range(B)
        for t in range(T)
        if mask[b, t]
    ]
    assert club.fit_loss(x, y, mask).item() == pytest.approx(sum(steps) / len(steps), rel=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_codes_change_the_work_of_the_fit_and_not_its_result(rows: int) -> None:
    (_, y), club, mask = pairs(), network(), gaps()
    codes = torch.randint(3, (B, rows, T), generator=torch.Generator().manual_seed(4))
    tables = torch.randn(rows, 3, D, dtype=torch.float64)
    x = torch.stack([tables[q][codes[:, q]] for q in range(rows)]).sum(0)
    by_step = club.fit_loss(x, y, mask)
    expected = torch.autograd.grad(by_step, list(club.parameters()))
    by_code = club.fit_loss(x, y, mask, codes=codes)
    assert by_code.item() == pytest.approx(by_step.item(), rel=1e-12)
    for ours, theirs in zip(
        torch.autograd.grad(by_code, list(club.parameters())), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_bound_is_the_log_ratio_of_true_and_shuffled_pairs() -> None:
    (x, y), club, mask = pairs(), network(), gaps()
    permutation = torch.tensor([1, 0, 3, 4, 2])
    mean, lv = club.mean(x).detach(), club.log_variance(x).detach()

    def log_likelihood(b: int, t: int, other: int) -> float:
        square = (mean[b, t] - y[other, t]) ** 2
        return float((-square / lv[b, t].exp() - lv[b, t]).sum() / 2)

    steps = [
        log_likelihood(b, t, b) - log_likelihood(b, t, int(permutation[b]))
        for b in range(B)
        for t in range(T)
        if mask[b, t] and mask[permutation[b], t]
    ]
    ours = club(x, y, mask, permutation=permutation)
    assert ours.item() == pytest.approx(sum(steps) / len(steps), rel=1e-10)


def test_the_published_form_averages_time_before_it_divides() -> None:
    (x, y), club = pairs(), network(time_first=True)
    permutation = torch.tensor([1, 2, 3, 4, 0])
    mean, lv = club.mean(x).detach(), club.log_variance(x).detach()
    expected = 0.0
    for b in range(B):
        for d in range(Y):
            true = sum((mean[b, t, d] - y[b, t, d]) ** 2 for t in range(T)) / T
            other = sum((mean[b, t, d] - y[permutation[b], t, d]) ** 2 for t in range(T)) / T
            variance = math.exp(sum(lv[b, t, d] for t in range(T)) / T)
            expected += float(other - true) / variance / 2 / B
    mask = torch.ones(B, T, dtype=torch.bool)
    ours = club(x, y, mask, permutation=permutation)
    assert ours.item() == pytest.approx(expected, rel=1e-10)


def test_the_bound_is_near_zero_before_anything_is_learned() -> None:
    """A quantized x is nearly constant at first: 'MI is near 0' alone must not open layer 2."""
    _, y = pairs()
    x = torch.full((B, T, D), 1e-3, dtype=torch.float64)
    mask = torch.ones(B, T, dtype=torch.bool)
    bounds = [network()(x, y, mask, permutation=torch.randperm(B)).abs().item() for _ in range(3)]
    assert max(bounds) < 1e-9


def test_a_collapsed_specific_feature_shows_as_the_floor_of_the_fit() -> None:
    """With log-variance in [-1, 1] a constant y is fitted at -Y / 2, and the bound is 0."""
    (x, _), club = pairs(), network()
    y, mask = torch.zeros(B, T, Y, dtype=torch.float64), torch.ones(B, T, dtype=torch.bool)
    optimizer = torch.optim.Adam(club.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        club.fit_loss(x, y, mask).backward()
        optimizer.step()
    assert club.fit_loss(x, y, mask).item() == pytest.approx(-Y / 2, abs=0.05)
    assert club(x, y, mask, permutation=torch.randperm(B)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_bound_lies_on_or_above_the_true_mutual_information(correlation: float) -> None:
    """For jointly Gaussian scalars I(x; y) = -log(1 - r^2) / 2 and CLUB is r^2 / (1 - r^2)."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(512, 4, 1, generator=generator)
    noise = torch.randn(512, 4, 1, generator=generator)
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    torch.manual_seed(0)
    club, mask = CLUB(1, 1, CLUBConfig(hidden_dim=16)), torch.ones(512, 4, dtype=torch.bool)
    optimizer = torch.optim.Adam(club.parameters(), lr=5e-3)
    for _ in range(200):
        optimizer.zero_grad()
        club.fit_loss(x, y, mask).backward()
        optimizer.step()
    with torch.no_grad():
        bound = torch.stack(
            [
                club(x, y, mask, permutation=torch.randperm(512, generator=generator))
                for _ in range(20)
            ]
        ).mean()
    truth = -math.log(1 - correlation**2) / 2
    assert bound.item() > truth - 0.03
    assert bound.item() == pytest.approx(correlation**2 / (1 - correlation**2), abs=0.15)


def test_one_clip_alone_and_none_at_all_are_finite() -> None:
    (x, y), club = pairs(), network()
    nothing = torch.zeros(B, T, dtype=torch.bool)
    for time_first in (False, True):
        club.time_first = time_first
        for clips, mask in ((1, ~nothing), (B, nothing)):
            bound = club(x[:clips], y[:clips], mask[:clips], permutation=torch.arange(clips))
            assert bound.item() == 0.0


def test_masks_change_nothing_where_all_steps_are_real(paired: Paired) -> None:
    club = network()
    _, y = pairs()
    for m, z in paired.z.items():
        garbage = z.masked_fill(~paired.masks[m].unsqueeze(-1), 1e3)
        real = club.fit_loss(z, y, paired.masks[m])
        assert club.fit_loss(garbage, y, paired.masks[m]).item() == pytest.approx(real.item())
