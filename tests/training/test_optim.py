"""Schedules against their formulas, and which gradients are clipped together."""

import math

import pytest
import torch
from torch import nn

from model.config import SRCIDConfig
from model.srcid import SRCID
from training.config import OptimConfig
from training.losses.objective import Objective
from training.optim import build_optimizer, build_schedule, clip_groups, club_groups, descend
from training.recipes import recipe

LR, TOTAL, EPOCH = 0.5, 60, 6


def rates(**config: object) -> list[float]:
    """The learning rate of each of ``TOTAL`` steps."""
    optimizer = build_optimizer({"all": [nn.Parameter(torch.zeros(1))]}, LR)
    optim = OptimConfig.model_validate({"lr": LR, **config})
    schedule = build_schedule(optimizer, optim, total_steps=TOTAL, epoch_steps=EPOCH)
    found = []
    for _ in range(TOTAL):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_constant() -> None:
    assert rates() == [LR] * TOTAL


def test_warm_up_is_linear_and_ends_at_the_full_rate() -> None:
    expected = [LR * (step + 1) / 5 for step in range(4)] + [LR] * (TOTAL - 4)
    assert rates(warmup_steps=4) == pytest.approx(expected)


def test_cosine() -> None:
    expected = [LR * 0.5 * (1 + math.cos(math.pi * step / TOTAL)) for step in range(TOTAL)]
    assert rates(schedule="cosine") == pytest.approx(expected)
    assert rates(schedule="cosine", warmup_steps=4)[2] == pytest.approx(expected[2] * 3 / 5)


def test_multistep_halves_at_each_milestone() -> None:
    """The published trainer's MultiStepLR, with milestones that the run reaches."""
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(theirs, [2, 5, 9], gamma=0.5)
    expected = []
    for _ in range(TOTAL // EPOCH):
        expected += [theirs.param_groups[0]["lr"]] * EPOCH
        theirs.step()
        scheduler.step()
    assert rates(schedule="multistep", milestones=(2, 5, 9)) == pytest.approx(expected)
    assert OptimConfig().milestones == (10, 20, 30)


@pytest.mark.parametrize("name", ["srcid", "turn", "codis"])
def test_every_parameter_is_in_one_group_of_one_optimizer(name: str) -> None:
    config = recipe(name)
    with torch.device("meta"):
        model, objective = SRCID(config.model), Objective(config.model, config.objective)
    groups = [*clip_groups(model, objective).values(), *club_groups(objective).values()]
    found = [id(p) for group in groups for p in group]
    wanted = {id(p) for p in [*model.parameters(), *objective.parameters()]}
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_groups_are_the_modules_that_the_published_trainer_clips(
    tiny_config: SRCIDConfig,
) -> None:
    model = SRCID(tiny_config)
    objective = Objective(tiny_config, recipe("srcid").objective)
    groups = clip_groups(model, objective)
    assert list(groups) == ["stems", "encoders", "decoders", "layer1/cpc", "layer2/cpc"]
    names = {id(p): name for name, p in model.named_parameters()}
    assert all("decoder" in names[id(p)] for p in groups["decoders"])
    assert all("stems" in names[id(p)] for p in groups["stems"])
    encoders = {names[id(p)].split(".")[2] for p in groups["encoders"]}
    assert encoders == {"general", "specific"}


class Recorder(torch.optim.SGD):
    """Keeps the gradients with which it was asked to step."""

    def step(self, closure: None = None) -> None:
        self.seen = [[p.grad.clone() for p in g["params"]] for g in self.param_groups]


def test_each_group_is_clipped_by_its_own_norm() -> None:
    large, small = nn.Parameter(torch.tensor([3.0, 4.0])), nn.Parameter(torch.tensor([0.03, 0.04]))
    groups = [{"params": [large], "name": "large"}, {"params": [small], "name": "small"}]
    optimizer = Recorder(groups, lr=1.0)
    norms = descend(optimizer, large.square().sum() / 2 + small.square().sum() / 2, 0.5)
    assert {name: norm.item() for name, norm in norms.items()} == pytest.approx(
        {"large": 5.0, "small": 0.05}
    )
    (clipped,), (left,) = optimizer.seen
    assert clipped.norm().item() == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(clipped, large.detach() / 10, rtol=1e-4, atol=0)
    torch.testing.assert_close(left, small.detach())


def test_what_the_loss_does_not_reach_stays_where_it_is() -> None:
    reached, closed = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = build_optimizer({"layer1": [reached], "layer2": [closed]}, 0.1)
    descend(optimizer, closed.sum(), 1.0)  # Adam has momentum of layer 2 now
    before = closed.detach().clone()
    norms = descend(optimizer, reached.sum(), 1.0)
    assert list(norms) == ["layer1"]
    assert torch.equal(closed, before)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = build_optimizer({"all": [weight]}, 0.1)
    norms = descend(optimizer, weight.sqrt().sum(), 1.0)  # finite, its gradient is not
    assert not norms["all"].isfinite()
    assert torch.equal(weight, torch.zeros(2))
