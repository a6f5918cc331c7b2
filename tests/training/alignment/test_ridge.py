import math

import torch

from training.alignment.ridge import LinearMap, ridge

DRAW = torch.Generator().manual_seed(0)


def test_without_a_penalty_a_linear_truth_is_found() -> None:
    truth = LinearMap(torch.randn(4, 3, generator=DRAW), torch.randn(3, generator=DRAW))
    x = torch.randn(50, 4, generator=DRAW)
    found = ridge(x, truth(x), penalty=0)
    torch.testing.assert_close(found.weight, truth.weight)
    torch.testing.assert_close(found.bias, truth.bias)


def test_the_sum_of_errors_and_penalty_is_least() -> None:
    """Its gradient is zero there; the penalty counts in mean squares of an input."""
    x, y = torch.randn(40, 5, generator=DRAW), torch.randn(40, 2, generator=DRAW)
    found = ridge(x, y, penalty=0.7)
    weight, bias = found.weight.clone().requires_grad_(), found.bias.clone().requires_grad_()
    scale = (x - x.mean(0)).square().mean()
    loss = (x @ weight + bias - y).square().sum(1).mean() + 0.7 * scale * weight.square().sum()
    loss.backward()
    for gradient in (weight.grad, bias.grad):
        assert gradient is not None
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)


def test_a_map_is_scaled_to_a_mean_length() -> None:
    x = torch.randn(30, 4, generator=DRAW)
    own = LinearMap(torch.randn(4, 3, generator=DRAW), torch.randn(3, generator=DRAW))
    scaled = own.to_length(2.5, over=x)
    torch.testing.assert_close(scaled(x).norm(dim=1).mean(), torch.tensor(2.5))
    torch.testing.assert_close(torch.cosine_similarity(scaled(x), own(x)), torch.ones(30))


def test_a_centred_map_has_mean_zero_and_keeps_all_differences() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(50, 4, generator=draw) + 3
    own = LinearMap(torch.randn(4, 3, generator=draw), torch.ones(3))
    centred = own.centred(over=x)
    torch.testing.assert_close(centred(x).mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(centred(x[0]) - centred(x[1]), own(x[0]) - own(x[1]))


def evened_deviations(turn: torch.Tensor) -> torch.Tensor:
    """Of outputs that differ by ±.8 in one direction and ±.6 in another, evened, turned back."""
    signs = torch.cartesian_prod(torch.tensor([0.8, -0.8]), torch.tensor([0.6, -0.6]))
    outputs = signs.repeat(25, 1)  # all of length 1
    bias = torch.tensor([3.0, -2.0])
    x = outputs - bias @ turn.T
    evened = LinearMap(turn, bias).evened(over=x)
    return (evened(x) @ turn.T / outputs).abs()


def test_an_evened_map_takes_the_root_of_each_deviation() -> None:
    """But for the floor of a hundredth, the two are then as .8 to .6 to the power of a half."""
    first, second = evened_deviations(torch.eye(2)).mul(torch.tensor([0.8, 0.6])).unbind(1)
    torch.testing.assert_close(
        first / second, torch.full((100,), (0.8 / 0.6) ** 0.5), rtol=0.01, atol=0
    )


def test_an_evened_map_turns_nothing() -> None:
    cos, sin = math.cos(0.7), math.sin(0.7)
    turn = torch.tensor([[cos, sin], [-sin, cos]])
    torch.testing.assert_close(evened_deviations(turn), evened_deviations(torch.eye(2)))


def test_outputs_that_are_all_the_same_are_evened_without_a_fault() -> None:
    x = torch.ones(1, 3)
    assert LinearMap(torch.eye(3), torch.zeros(3)).evened(over=x)(x).isfinite().all()
