"""Error diffusion along time: what a step's codes lose, the next step's make up for."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from model.config import RVQConfig
from model.modality import Modality
from model.quantizers.rvq import ResidualQuantizer


@pytest.fixture
def quantizer() -> ResidualQuantizer:
    return make(carry=True)


def make(*, carry: bool, carry_all: bool = False) -> ResidualQuantizer:
    torch.manual_seed(0)
    config = RVQConfig(stages=2, codebook_size=16, carry=carry, carry_all=carry_all)
    built = ResidualQuantizer(8, config)
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


def test_carried_in_full_each_step_makes_up_for_all_that_was_lost_before() -> None:
    full, z = make(carry=True, carry_all=True), torch.randn(32, 10, 8)  # each unlike the last
    codes, lost = full.encode(z), torch.zeros(32, 8)
    for t in range(10):
        wanted = z[:, t] + lost
        alone = full.encode(wanted[:, None])
        assert codes[:, :, t : t + 1].tolist() == alone.tolist()
        lost = wanted - full.decode(alone)[:, 0]
    assert codes.tolist() != make(carry=True).encode(z).tolist()


def test_what_comes_later_changes_no_code(quantizer: ResidualQuantizer) -> None:
    z = torch.randn(4, 9, 8)
    assert quantizer.encode(z)[:, :, :5].tolist() == quantizer.encode(z[:, :5]).tolist()


def test_an_update_moves_each_stage_by_what_the_stages_before_left_over() -> None:
    """Against a loop; a stage that was given the whole vectors would move elsewhere."""
    torch.manual_seed(3)
    config = RVQConfig(stages=3, codebook_size=6, decay=0.9, multimodal=False)
    built = ResidualQuantizer(4, config).double()
    for stage in built.stages:
        stage.begin(torch.cat([torch.zeros(1, 4), torch.randn(5, 4)]).double())
    z, mask = torch.randn(5, 7, 4).double(), torch.rand(5, 7) > 0.3
    expected = []
    residual = z[mask]
    for stage in built.stages:
        codes = torch.cdist(residual, stage.vectors).argmin(1)
        vectors = stage.vectors.clone()
        for code in range(1, 6):  # entry 0 stays zero
            own = residual[codes == code]
            if len(own):
                vectors[code] = 0.9 * vectors[code] + 0.1 * own.sum(0)
                vectors[code] /= 0.9 + 0.1 * len(own)
        expected.append(vectors)
        residual = residual - stage.vectors[codes]
    built.update({Modality.AUDIO: z}, {Modality.AUDIO: mask})
    for stage, vectors in zip(built.stages, expected, strict=True):
        torch.testing.assert_close(stage.vectors, vectors, rtol=1e-4, atol=1e-4)  # smoothed counts


def test_trained_stages_refine_one_another() -> None:
    """After updates on one batch, each stage makes the error smaller by a good part."""
    torch.manual_seed(4)
    built = ResidualQuantizer(4, RVQConfig(stages=3, codebook_size=16, decay=0.8, revive_after=5))
    z = {m: torch.randn(16, 8, 4) for m in Modality}
    masks = {m: torch.ones(16, 8, dtype=torch.bool) for m in Modality}
    for _ in range(150):
        built.update({Modality.AUDIO: z[Modality.AUDIO]}, {Modality.AUDIO: masks[Modality.AUDIO]})
    left, errors = z[Modality.AUDIO], [float(z[Modality.AUDIO].square().mean())]
    for stage in built.stages:
        left = left - stage.vectors[stage.nearest(left)]
        errors.append(float(left.square().mean()))
    assert all(after < 0.6 * before for before, after in pairwise(errors))
