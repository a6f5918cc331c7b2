"""Cross-modal CPC against a loop over pairs and clips."""

import math

import pytest
import torch

from model.errors import ShapeError
from model.modality import Modality
from training.config import CPCConfig
from training.losses.cpc import CrossModalCPC

from .conftest import B, D, Paired, T


def module(**config: float) -> CrossModalCPC:
    torch.manual_seed(4)
    return CrossModalCPC(tuple(Modality), D, CPCConfig(**config)).double()


@torch.no_grad()
def by_loops(cpc: CrossModalCPC, paired: Paired, step: int) -> float:
    total = 0.0
    for m in Modality:
        for n in Modality:
            predicted = []
            for b in range(B):
                context, _ = cpc.contexts[n](paired.z[n][b : b + 1, : step + 1])
                predicted.append(cpc.predictors[n](context[0, -1]))
            known = [
                b for b in range(B) if paired.masks[n][b, step] and paired.masks[m][b, step + 1]
            ]
            losses = []
            for i in known:
                target = paired.z[m][i, step + 1]
                scores = [float(score(cpc, target, predicted[j])) for j in known]
                top = max(scores)
                log_sum = top + math.log(sum(math.exp(s - top) for s in scores))
                losses.append(log_sum - scores[known.index(i)])
            weight = cpc.config.self_weight if m == n else 1.0
            total += weight * sum(losses) / len(losses)
    return total


def score(cpc: CrossModalCPC, target: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    if cpc.config.temperature is None:
        return target @ predicted
    return torch.cosine_similarity(target, predicted, dim=0) / cpc.config.temperature


@pytest.mark.parametrize("config", [{}, {"temperature": 0.1}, {"self_weight": 1.0}])
@pytest.mark.parametrize("step", [0, 1, T - 2])
def test_it_is_the_sum_over_ordered_pairs(
    paired: Paired, config: dict[str, float], step: int
) -> None:
    if step > 0 and not paired.masks[Modality.VIDEO].all():
        paired.masks[Modality.VIDEO][3] = True
    cpc = module(**config)
    ours = cpc(paired.z, paired.masks, step=step)
    assert ours.item() == pytest.approx(by_loops(cpc, paired, step), rel=1e-9)


def test_the_future_is_not_read() -> None:
    """Changing steps after t + 1 changes nothing; changing t + 1 does."""
    torch.manual_seed(0)
    cpc = module()
    z = {m: torch.randn(B, T, D, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    before = cpc(z, masks, step=2)
    z[Modality.TEXT][:, 4:] += 1
    assert torch.equal(cpc(z, masks, step=2), before)
    z[Modality.TEXT][:, 3] += 1
    assert not torch.equal(cpc(z, masks, step=2), before)


def test_chance_is_the_logarithm_of_the_batch() -> None:
    """With equal vectors every clip is as likely: 6.3 ln B in nats."""
    z = {m: torch.ones(B, T, D, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    assert module()(z, masks, step=1).item() == pytest.approx(6.3 * math.log(B))


@pytest.mark.parametrize("step", [-1, T - 1, T])
def test_a_step_without_a_next_one_is_refused(step: int) -> None:
    z = {m: torch.ones(B, T, D, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    with pytest.raises(ShapeError, match=str(T)):
        module()(z, masks, step=step)


def test_a_batch_of_one_clip_and_one_without_text_are_finite(paired: Paired) -> None:
    paired.masks[Modality.TEXT][:] = False
    cpc = module()
    assert cpc(paired.z, paired.masks, step=1).isfinite()
    one = {m: z[:1] for m, z in paired.z.items()}
    masks = {m: torch.ones(1, T, dtype=torch.bool) for m in Modality}
    assert cpc(one, masks, step=1).item() == pytest.approx(0, abs=1e-12)
