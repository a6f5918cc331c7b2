"""Error diffusion along time: what a step's codes lose, the next step's make up for."""

import pytest
import torch
from torch import Tensor

from model.config import RVQConfig
from model.quantizers.rvq import ResidualQuantizer


@pytest.fixture
def quantizer() -> ResidualQuantizer:
    return make(carry=True)


def make(*, carry: bool) -> ResidualQuantizer:
    torch.manual_seed(0)
    built = ResidualQuantizer(8, RVQConfig(stages=2, codebook_size=16, carry=carry))
    for stage in built.stages:
        stage.vectors[1:] = torch.randn(15, 8)
    return built


def lost_by_the_mean(quantizer: ResidualQuantizer, z: Tensor) -> Tensor:
    """Return ``[B]``, how far the mean of the codes' vectors lies from that of ``z``."""
    return (z.mean(1) - quantizer.decode(quantizer.encode(z)).mean(1)).norm(dim=-1)


def test_the_mean_of_equal_steps_loses_the_last_steps_loss_over_their_number(
    quantizer: ResidualQuantizer,
) -> None:
    """Losses telescope: T z = y_1 + ... + y_T + what the last step lost."""
    one = torch.randn(32, 1, 8) / 4  # well inside of what sums of two codes can reach
    z = one.expand(-1, 10, -1)
    decoded = quantizer.decode(quantizer.encode(z))
    wanted, lost = one[:, 0], torch.zeros(32, 8)
    for t in range(10):
        wanted = one[:, 0] + lost
        lost = wanted - decoded[:, t]
    torch.testing.assert_close(lost_by_the_mean(quantizer, z), lost.norm(dim=-1) / 10)
    by_itself = lost_by_the_mean(quantizer, one)
    assert lost_by_the_mean(quantizer, z).mean() < by_itself.mean() / 3


def test_without_carry_equal_steps_lose_what_one_does() -> None:
    plain, one = make(carry=False), torch.randn(32, 1, 8)
    torch.testing.assert_close(
        lost_by_the_mean(plain, one.expand(-1, 10, -1)), lost_by_the_mean(plain, one)
    )


def test_nothing_is_carried_over_to_a_step_that_is_unlike(quantizer: ResidualQuantizer) -> None:
    z = torch.randn(32, 1, 8)
    across = torch.randn(32, 1, 8)
    across = across - z * (across * z).sum(-1, keepdim=True) / z.square().sum(-1, keepdim=True)
    for other in (across, -z):
        both = quantizer.encode(torch.cat([z, other], 1))
        assert both[:, :, :1].tolist() == quantizer.encode(z).tolist()
        assert both[:, :, 1:].tolist() == quantizer.encode(other).tolist()


def test_what_comes_later_changes_no_code(quantizer: ResidualQuantizer) -> None:
    z = torch.randn(4, 9, 8)
    assert quantizer.encode(z)[:, :, :5].tolist() == quantizer.encode(z[:, :5]).tolist()
