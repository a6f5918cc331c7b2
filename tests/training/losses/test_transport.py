"""Prototype transport against loops over clips and prototypes."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from model.modality import Modality
from training.config import TransportConfig
from training.losses.transport import prototype_transport, transport_plan

from .conftest import B, D, Paired, T

L = 3
CONFIG = TransportConfig(iterations=30)


def sinkhorn(cost: dict[int, list[float]]) -> dict[int, list[float]]:
    """Scale exp(-cost / epsilon) to rows of 1 / clips and columns of 1 / L, in turns."""
    kernel = {i: [math.exp(-c / CONFIG.epsilon) for c in row] for i, row in cost.items()}
    rows, columns = dict.fromkeys(cost, 1 / len(cost)), [1.0] * L
    for _ in range(CONFIG.iterations):
        for k in range(L):
            columns[k] = 1 / L / sum(rows[i] * kernel[i][k] for i in cost)
        for i in cost:
            rows[i] = 1 / len(cost) / sum(kernel[i][k] * columns[k] for k in range(L))
    return {i: [rows[i] * kernel[i][k] * columns[k] for k in range(L)] for i in cost}


def by_loops(paired: Paired, prototypes: Tensor) -> float:
    cosine, plan, total = {}, {}, 0.0
    for m in Modality:
        clips = [b for b in range(B) if paired.masks[m][b].any()]
        pooled = {b: paired.z[m][b][paired.masks[m][b]].mean(0) for b in clips}
        cosine[m] = {
            b: [float(torch.cosine_similarity(pooled[b], prototypes[k], dim=0)) for k in range(L)]
            for b in clips
        }
        cost = {b: [1 - c for c in row] for b, row in cosine[m].items()}
        plan[m] = sinkhorn(cost)
        total += sum(plan[m][b][k] * cost[b][k] for b in clips for k in range(L))
    for m, n in permutations(Modality, 2):
        both = [b for b in cosine[m] if b in cosine[n]]
        for b in both:
            logits = [c / CONFIG.temperature for c in cosine[m][b]]
            log_sum = math.log(sum(math.exp(x) for x in logits))
            wanted = [len(plan[n]) * share for share in plan[n][b]]
            cross = -sum(w * (x - log_sum) for w, x in zip(wanted, logits, strict=True))
            total += cross / len(both) / 2
    return total


def test_it_is_the_plans_cost_and_the_swapped_prediction(paired: Paired) -> None:
    torch.manual_seed(6)
    prototypes = torch.randn(L, D, dtype=torch.float64)
    ours = prototype_transport(paired.z, prototypes, paired.masks, CONFIG)
    assert ours.item() == pytest.approx(by_loops(paired, prototypes), rel=1e-9)


def test_a_plan_gives_every_clip_and_prototype_its_share() -> None:
    torch.manual_seed(7)
    cost = torch.rand(B, L, dtype=torch.float64)
    present = torch.tensor([True, False, True, True, True])
    plan = transport_plan(cost, present, TransportConfig(iterations=200))
    torch.testing.assert_close(plan.sum(1), present.double() / 4)
    torch.testing.assert_close(plan.sum(0), torch.full((L,), 1 / L, dtype=torch.float64))


def test_a_plan_spreads_clips_that_are_all_nearest_to_one_prototype() -> None:
    """Six clips and two prototypes: the three that lose least go to the other one."""
    cost = torch.tensor([[0.0, 0.1 * i] for i in range(1, 7)], dtype=torch.float64)
    plan = transport_plan(cost, torch.ones(6, dtype=torch.bool), TransportConfig(epsilon=0.03))
    assert (plan.argmax(1) == torch.tensor([1, 1, 1, 0, 0, 0])).all()


def test_clips_and_prototypes_learn_from_it_and_finitely(paired: Paired) -> None:
    z = {m: own.float().requires_grad_() for m, own in paired.z.items()}
    prototypes = torch.randn(L, D, requires_grad=True)
    prototype_transport(z, prototypes, paired.masks, CONFIG).backward()
    for tensor in (prototypes, *z.values()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


def test_a_batch_without_clips_adds_nothing() -> None:
    z = {m: torch.randn(B, T, D) for m in Modality}
    masks = {m: torch.zeros(B, T, dtype=torch.bool) for m in Modality}
    assert prototype_transport(z, torch.randn(L, D), masks, CONFIG).item() == 0.0
