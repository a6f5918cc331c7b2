"""Standardized vectors: moments of what is real, the same in evaluation."""

import torch

from model.network.standardize import MOMENTUM, Standardize


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    mask = torch.ones(6, 5, dtype=torch.bool)
    mask[0, 2:] = False
    return torch.randn(6, 5, 3) * torch.tensor([0.01, 1.0, 30.0]) + 5, mask


def test_real_steps_have_mean_0_and_variance_1_whatever_their_scale() -> None:
    x, mask = batch()
    real = Standardize(3)(x, mask)[mask]
    torch.testing.assert_close(real.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(real.var(0, correction=0), torch.ones(3), atol=0.1, rtol=0)


def test_padding_moves_no_moment() -> None:
    x, mask = batch()
    one, other = Standardize(3), Standardize(3)
    one(x, mask)
    other(x.masked_fill(~mask.unsqueeze(-1), 1e6), mask)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.variance, other.variance)


def test_evaluation_knows_the_moments_after_a_single_batch() -> None:
    """A run of a few steps must not be judged by moments that it never had."""
    layer, (x, mask) = Standardize(3), batch()
    trained = layer(x, mask)
    torch.testing.assert_close(layer.eval()(x, mask), trained)


def test_running_moments_are_plain_means_at_first_and_follow_later() -> None:
    layer = Standardize(3)
    for seed in range(4):
        layer(*batch(seed))
    means = torch.stack([x[mask].mean(0) for x, mask in map(batch, range(4))])
    torch.testing.assert_close(layer.mean, means.mean(0))
    layer.batches.fill_(1000)
    before, (x, mask) = layer.mean.clone(), batch(9)
    layer(x, mask)
    torch.testing.assert_close(layer.mean, before.lerp(x[mask].mean(0), MOMENTUM))


def test_a_batch_of_one_step_uses_the_running_moments() -> None:
    layer, (x, mask) = Standardize(3), batch()
    layer(x, mask)
    mask[:] = False
    mask[1, 0] = True
    expected = (x - layer.mean) / (layer.variance + 1e-5).sqrt()
    torch.testing.assert_close(layer(x, mask), expected)
    assert layer.batches == 1
