"""How long a training step takes, beside the published trainer's, and where the time goes.

    OMP_NUM_THREADS=1 python -m benchmarks.training_step --clips 80 --channels 64

Both steps take turns on the same batch, the paper's network on features of the paper's shapes;
only the video's specific map has fewer channels than the paper's 2048.
"""

import logging
import platform
import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import torch
import typer
from torch.autograd.profiler import record_function
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

import training.step
from benchmarks.goals import Goal
from benchmarks.published_step import PublishedStep
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.losses.objective import Objective
from training.recipes import override, recipe
from training.step import TrainingStep

BACKWARD = "autograd::engine::evaluate_function: "
PARTS = ("encoders", "quantizer", "decoders", "CLUB", "CPC", "optimizer")


def main(
    clips: Annotated[int, typer.Option(help="B, clips in a batch; the paper's is 80.")] = 80,
    channels: Annotated[int, typer.Option(help="Of the video's specific map.")] = 64,
    rounds: Annotated[int, typer.Option(help="Steps of each kind that are timed.")] = 7,
) -> None:
    """Print the median times, their ratio, and the share of each part of our step."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # noise collapses, and is said to
    config = paper(channels)
    batch = random_batch(config, clips)
    ours, published = our_step(config), published_step(config)
    bf16 = our_step(override(config, {"optim.precision": "bf16"}))
    double = Batch({m: x.double() for m, x in batch.features.items()}, batch.masks, batch.labels)
    turns = {
        "published": lambda: published(double),
        "ours": lambda: ours(batch),
        "ours, bf16": lambda: bf16(batch),
    }
    times = [[seconds_of(turn) for turn in turns.values()] for _ in range(rounds + 1)]
    wall, processor = np.median(times[1:], axis=0).T  # the first round warms up
    print(f"B {clips}, T {config.data.steps}, video map of {channels} channels")
    print(f"torch {torch.__version__}, {platform.machine()}, 1 thread, median of {rounds}\n")
    print(f"{'':12}{'wall':>9}{'ratio':>7}{'processor':>12}{'ratio':>7}")
    for row, name in enumerate(turns):
        clock, cpu = f"{wall[row]:7.2f} s", f"{processor[row]:10.2f} s"
        ratios = f"{wall[0] / wall[row]:7.1f}", f"{processor[0] / processor[row]:7.1f}"
        print(f"{name:12}{clock}{ratios[0]}{cpu}{ratios[1]}")
    for row, name in enumerate(turns):
        if row:
            print(Goal("step", f"published / {name}", float(wall[0] / wall[row]), 8, True))
    print("\nshare of our step, forward and backward:\n")
    for name, share in shares(ours, batch).items():
        print(f"{name:12}{share:6.1%}")


def paper(channels: int) -> TrainConfig:
    """Return the published configuration, with the matching term of eq. 8 and a smaller map."""
    return override(
        recipe("srcid_as_published"),
        {
            "model.modalities.video.map.specific_channels": channels,
            "objective.layers.0.cmcm": 1,
            "objective.layers.1.cmcm": 1,
            "warm_start.epoch": 0,
        },
    )


def random_batch(config: TrainConfig, clips: int) -> Batch:
    """Return a batch of noise; every step is real."""
    generator = torch.Generator().manual_seed(0)
    features = {
        m: torch.randn(clips, config.data.steps, *own.feature_shape, generator=generator)
        for m, own in config.model.modalities.items()
    }
    masks = {m: torch.ones(clips, config.data.steps, dtype=torch.bool) for m in features}
    return Batch(features, masks, torch.zeros(clips, dtype=torch.int64))


def our_step(config: TrainConfig) -> TrainingStep:
    """Return our step with both layers open."""
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    step = TrainingStep(model.train(), objective, config, total_steps=100)
    step.warm_start.start_epoch(0)
    return step


def published_step(config: TrainConfig) -> PublishedStep:
    """Return the published trainer's step, in float64."""
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    return PublishedStep(model.double().train(), objective.double(), config)


def seconds_of(run: Callable[[], object]) -> tuple[float, float]:
    """Return how long ``run`` takes by the clock, and how long it has the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def shares(step: TrainingStep, batch: Batch) -> dict[str, float]:
    """Return the share of each part in one step, a part's backward pass with it."""
    mark(step)
    descend = training.step.descend

    def marked(optimizer: Any, *arguments: Any) -> Any:
        with record_function("CLUB" if optimizer is step.club_optimizer else "optimizer"):
            return descend(optimizer, *arguments)

    with (
        patch.object(training.step, "descend", marked),
        profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler,
    ):
        step(batch)
    events = profiler.events() or []
    forward = {
        event.sequence_nr: part_of(event, {})
        for event in events
        if event.sequence_nr >= 0 and not is_backward(event)
    }
    spent: Counter[str] = Counter()
    for event in events:
        spent[part_of(event, forward)] += event.self_cpu_time_total
    return {part: spent[part] / spent.total() for part in (*PARTS, "rest")}


def mark(step: TrainingStep) -> None:
    """Name the parts in the profile. The step cannot be unmarked."""
    for layer, own in zip(step.model.stages, step.objective.stages, strict=True):
        for module in (*layer.general.values(), *layer.specific.values()):
            mark_method(module, "forward", "encoders")
        for module in layer.decoder.values():
            mark_method(module, "forward", "decoders")
        for method in ("forward", "update"):
            mark_method(layer.quantizer, method, "quantizer")
        for club in own.clubs.values():
            mark_method(club, "forward", "CLUB")
            mark_method(club, "fit_loss", "CLUB")
        mark_method(own.cpc, "forward", "CPC")
    for stem in step.model.stems.values():
        mark_method(stem, "forward", "encoders")


def mark_method(owner: Any, name: str, part: str) -> None:
    """Let every call of ``owner.name`` stand in the profile as ``part``."""
    method = getattr(owner, name)

    def marked(*arguments: Any, **named: Any) -> Any:
        with record_function(part):
            return method(*arguments, **named)

    setattr(owner, name, marked)


def is_backward(event: FunctionEvent) -> bool:
    """Tell whether ``event`` lies in a backward pass."""
    around: FunctionEvent | None = event
    while around is not None and not around.name.startswith(BACKWARD):
        around = around.cpu_parent
    return around is not None


def part_of(event: FunctionEvent, forward: dict[int, str]) -> str:
    """Return the innermost part that ``event`` lies in; a backward step lies in its forward's."""
    around: FunctionEvent | None = event
    while around is not None:
        if around.name in PARTS:
            return around.name
        if around.name.startswith(BACKWARD) and around.sequence_nr in forward:
            return forward[around.sequence_nr]
        around = around.cpu_parent
    return "rest"


if __name__ == "__main__":
    typer.run(main)
