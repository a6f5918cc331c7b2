"""One step: what a poisoned batch leaves, autocast, compilation, draws."""

import pytest
import torch
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.errors import NonFiniteLoss
from training.losses.objective import Objective
from training.recipes import override
from training.step import TrainingStep

CLIPS, LENGTH = 8, 4


def build(config: TrainConfig) -> TrainingStep:
    torch.manual_seed(0)
    model, objective = SRCID(config.model).train(), Objective(config.model, config.objective)
    return TrainingStep(model, objective, config, total_steps=60)


def make_batch(config: TrainConfig, seed: int) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    shapes = {m: own.feature_shape for m, own in config.model.modalities.items()}
    return Batch(
        {m: torch.randn(CLIPS, LENGTH, *own, generator=draw) for m, own in shapes.items()},
        {m: torch.ones(CLIPS, LENGTH, dtype=torch.bool) for m in shapes},
        torch.zeros(CLIPS, dtype=torch.int64),
    )


def weights(step: TrainingStep) -> dict[str, Tensor]:
    """Everything that is trained, codebooks among it."""
    found = {**step.model.state_dict(), **step.objective.state_dict(prefix="objective.")}
    running = (".norm.mean", ".norm.variance", ".norm.batches")  # of Standardize: not trained
    return {name: own.clone() for name, own in found.items() if not name.endswith(running)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_poisoned_batch_is_named_and_changes_nothing(value: float, tiny_run: TrainConfig) -> None:
    step = build(tiny_run)
    step(make_batch(tiny_run, 0))
    before, rate = weights(step), step.schedule.get_last_lr()
    poisoned = make_batch(tiny_run, 1)
    poisoned.features[Modality.AUDIO][2, 1, 3] = value
    with pytest.raises(NonFiniteLoss, match=r"step 1: layer1/\w+/audio is (nan|inf)"):
        step(poisoned)
    after = weights(step)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert (step.steps, step.schedule.get_last_lr()) == (1, rate)


def test_a_collapse_is_told_of(tiny_run: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    step = build(override(tiny_run, {"objective.collapse_threshold": 1e6}))
    step(make_batch(tiny_run, 0))
    assert "step 0: layer1/specific_variance/audio is" in caplog.text


def run(config: TrainConfig, *, compiled: bool = False) -> list[dict[str, float]]:
    """Take six steps, the last three with layer 2."""
    step = build(override(config, {"model.dropout": 0}))
    if compiled:
        for layer in step.model.stages:
            layer.compile()
    terms = []
    for number in range(6):
        step.warm_start.start_epoch(number // 3)
        terms.append(step(make_batch(config, number)))
    return terms


def test_bf16_is_near_float32(tiny_run: TrainConfig) -> None:
    """On CPU as on GPU the network alone runs in bf16; codes near a border may differ."""
    full = run(override(tiny_run, {"optim.precision": "float32"}))
    half = run(override(tiny_run, {"optim.precision": "bf16"}))
    assert full != half
    for wanted, found in zip(full, half, strict=True):
        assert found["total"] == pytest.approx(wanted["total"], rel=0.05)
        for name in ("layer1/reconstruction/audio", "layer1/cpc", "layer1/infonce"):
            assert found[name] == pytest.approx(wanted[name], rel=0.05), name


def test_losses_see_float32_under_bf16(
    tiny_run: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = build(override(tiny_run, {"optim.precision": "bf16"}))
    step.warm_start.start_epoch(1)
    seen = []
    inner = step.model.stages[0].specific["audio"].linear
    inner.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    output = step._encode(make_batch(tiny_run, 0))
    assert seen == [torch.bfloat16]
    for out in output.layers:
        parts = [*out.general.values(), *out.quantized.values(), *out.reconstruction.values()]
        vectors = [own.vector for own in out.specific.values()]
        assert {x.dtype for x in parts + vectors} == {torch.float32}


def test_auto_precision_is_float32_on_cpu(tiny_run: TrainConfig) -> None:
    assert tiny_run.optim.precision == "auto"
    assert run(tiny_run) == run(override(tiny_run, {"optim.precision": "float32"}))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_network_has_the_same_numbers(tiny_run: TrainConfig) -> None:
    for wanted, found in zip(run(tiny_run), run(tiny_run, compiled=True), strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_layer_2_draws_its_own_and_every_step_anew(tiny_run: TrainConfig) -> None:
    step = build(tiny_run)
    masks = make_batch(tiny_run, 0).masks
    first = step._draws(masks)
    again = step._draws(masks)
    step.steps = 1
    later = step._draws(masks)

    def order(draws: list[object], layer: int) -> list[int]:
        return draws[layer].permutations[Modality.AUDIO].tolist()

    assert order(first, 0) == order(again, 0)
    assert order(first, 0) != order(later, 0)
    assert order(first, 0) != order(first, 1)
    assert sorted(order(first, 0)) == list(range(CLIPS))
