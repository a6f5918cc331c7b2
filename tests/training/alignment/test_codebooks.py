import pytest
import torch
from torch import Tensor

from model.config import RVQConfig
from model.errors import DataError
from model.quantizers.rvq import ResidualQuantizer
from training.alignment import codebooks
from training.alignment.codebooks import fit_codebooks, k_means


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_centres_are_those_of_the_clusters() -> None:
    middles = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    noise = 0.1 * torch.randn(3, 40, 2, generator=draw())
    found = k_means((middles[:, None] + noise).flatten(0, 1), 3, generator=draw())
    assert torch.cdist(middles, found).amin(1).max() < 0.1


def test_a_second_codebook_holds_what_the_first_leaves_over() -> None:
    coarse = 100 * torch.randn(7, 8, generator=draw())
    fine = torch.randn(7, 8, generator=draw()) * 5
    vectors = (coarse[:, None] + fine).flatten(0, 1).repeat(4, 1)
    quantizer = ResidualQuantizer(8, RVQConfig(codebook_size=20, stages=2)).eval()
    fit_codebooks(quantizer, vectors, steps=1, generator=draw())
    one, both = quantizer.encode(vectors[None]), quantizer(vectors[None]).z
    first = quantizer.stages[0].vectors[one[0, 0]]
    error, left = (vectors - both[0]).norm(), (vectors - first).norm()
    assert error < left
    assert not quantizer.stages[0].vectors[0].any()
    assert not quantizer.stages[1].vectors[0].any()


def test_codes_of_several_steps_together_say_more_than_k_means_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = torch.randn(900, 12, generator=draw())
    fitted, unseen = vectors[:600], vectors[600:]

    def lost() -> Tensor:
        """Return how much of an unseen vector its codes of six steps lose."""
        quantizer = ResidualQuantizer(12, RVQConfig(codebook_size=40, stages=2, carry=True))
        fit_codebooks(quantizer, fitted, steps=6, generator=draw())
        said = quantizer(unseen.unsqueeze(1).expand(-1, 6, -1)).z.mean(1)
        return (said - unseen).square().sum() / unseen.square().sum()

    together = lost()
    monkeypatch.setattr(codebooks, "REFITS", 0)
    assert together < 0.8 * lost()


def test_a_code_ends_in_the_middle_of_what_takes_it() -> None:
    """With one stage and one step, least squares is the mean."""
    vectors = torch.randn(4000, 3, generator=draw())
    quantizer = ResidualQuantizer(3, RVQConfig(codebook_size=6, stages=1))
    fit_codebooks(quantizer, vectors, steps=1, generator=draw())
    (stage,) = quantizer.stages
    takers = stage.nearest(vectors)
    means = torch.stack([vectors[takers == code].mean(0) for code in range(1, 6)])
    torch.testing.assert_close(stage.vectors[1:], means, atol=0.03, rtol=0)


def test_training_goes_on_from_the_centres() -> None:
    """The moving averages are in step: an update with nothing in it moves no code."""
    quantizer = ResidualQuantizer(4, RVQConfig(codebook_size=5, stages=1))
    fit_codebooks(quantizer, torch.randn(30, 4, generator=draw()), steps=1, generator=draw())
    (stage,) = quantizer.stages
    torch.testing.assert_close(stage.ema_sum / stage.ema_count.unsqueeze(1), stage.vectors)


def test_fewer_vectors_than_codes_are_refused() -> None:
    quantizer = ResidualQuantizer(4, RVQConfig(codebook_size=50, stages=1))
    with pytest.raises(DataError, match=r"30 vectors cannot fill 50 codes"):
        fit_codebooks(quantizer, torch.randn(30, 4), steps=1, generator=draw())
