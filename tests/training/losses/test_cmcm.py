"""Cross-modal code matching against a loop over clips and codes."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from model.modality import Modality
from training.config import CMCMConfig
from training.losses.cmcm import cross_modal_code_matching

from .conftest import B, D, Paired, T


def distribution(z: Tensor, codebook: Tensor, mask: Tensor, temperature: float) -> Tensor:
    steps = []
    for t in range(T):
        if mask[t]:
            distances = (z[t] - codebook).norm(dim=1) / temperature
            steps.append((-distances).exp() / (-distances).exp().sum())
    return torch.stack(steps).mean(0)


def by_loops(paired: Paired, codebook: Tensor, config: CMCMConfig) -> float:
    total = 0.0
    for m, n in combinations(Modality, 2):
        clips = [b for b in range(B) if paired.masks[m][b].any() and paired.masks[n][b].any()]
        p, q = (
            {
                b: distribution(paired.z[k][b], codebook, paired.masks[k][b], config.temperature)
                for b in clips
            }
            for k in (m, n)
        )
        total += between(p, q, config.form)
    return total / 2


def between(p: dict[int, Tensor], q: dict[int, Tensor], form: str) -> float:
    """The loss between two modalities, from the distributions of the clips that have both."""

    def cross(left: Tensor, right: Tensor) -> float:
        return float((left * right.log()).sum())

    def score(i: int, j: int) -> float:
        if form == "published":
            return cross(p[i], q[j]) + cross(q[i], p[j])
        return cross(p[i], q[j]) + cross(q[j], p[i])

    def matched(i: int, others: list[tuple[int, int]]) -> float:
        return score(i, i) - math.log(sum(math.exp(score(a, b)) for a, b in others))

    losses = [matched(i, [(i, j) for j in p]) for i in p]
    if form == "symmetric":
        columns = [matched(j, [(i, j) for i in p]) for j in p]
        losses = [(a + b) / 2 for a, b in zip(losses, columns, strict=True)]
    return -sum(losses) / len(losses)


@pytest.mark.parametrize("form", ["textbook", "published", "symmetric"])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_it_is_the_matching_loss_of_the_loop(paired: Paired, form: str, temperature: float) -> None:
    torch.manual_seed(5)
    codebook = torch.randn(7, D, dtype=torch.float64)
    config = CMCMConfig.model_validate({"form": form, "temperature": temperature})
    ours = cross_modal_code_matching(paired.z, codebook, paired.masks, config)
    assert ours.item() == pytest.approx(by_loops(paired, codebook, config), rel=1e-6)


def test_a_vector_that_is_a_code_has_a_finite_gradient() -> None:
    codebook = torch.randn(7, D, dtype=torch.float64)
    z = {m: codebook[:B, None].repeat(1, T, 1).requires_grad_() for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    cross_modal_code_matching(z, codebook, masks, CMCMConfig()).backward()
    assert all(own.grad is not None and own.grad.isfinite().all() for own in z.values())


def test_chance_is_half_the_pairs_times_the_logarithm_of_the_batch() -> None:
    z = {m: torch.ones(B, T, D, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    loss = cross_modal_code_matching(z, torch.randn(7, D).double(), masks, CMCMConfig())
    assert loss.item() == pytest.approx(1.5 * math.log(B))
