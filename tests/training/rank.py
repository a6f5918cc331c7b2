"""What each process of ``test_distributed.py`` runs, and what a single process runs beside it.

``python -m tests.training.rank CONFIG.json OUT`` under the environment that torchrun sets.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.distributed import num_ranks, rank, ranks
from training.losses.objective import Objective
from training.step import TrainingStep
from training.train import train

NUM_STEPS = 20
LENGTH = 4  # steps of a clip


class Taken(NamedTuple):
    """What came of ``NUM_STEPS`` steps."""

    terms: list[dict[str, float]]  # of each step
    tensors: dict[str, Tensor]  # weights, buffers, the losses' own weights


def take_steps(config: TrainConfig) -> Taken:
    """Train in float64 on this rank's slices of batches that are the same for all."""
    torch.manual_seed(0)
    model = SRCID(config.model).double().train()
    objective = Objective(config.model, config.objective).double()
    step = TrainingStep(model, objective, config, total_steps=NUM_STEPS)
    terms = []
    for number in range(NUM_STEPS):
        step.warm_start.start_epoch(number // 8)
        terms.append(step(own_slice(make_batch(config, number))))
    return Taken(terms, {**model.state_dict(), **objective.state_dict(prefix="objective.")})


def make_batch(config: TrainConfig, number: int) -> Batch:
    """Clips of random features; some lack a modality, some sentences are short."""
    draw = torch.Generator().manual_seed(number)
    features, masks = {}, {}
    for m, own in config.model.modalities.items():
        shape = (config.batch_size, LENGTH, *own.feature_shape)
        features[m] = torch.randn(shape, generator=draw, dtype=torch.float64)
        masks[m] = torch.ones(shape[:2], dtype=torch.bool)
    masks[Modality.TEXT][0, 2:] = False
    masks[Modality.TEXT][5, 1:] = False
    masks[Modality.AUDIO][1] = False
    masks[Modality.VIDEO][-1] = False
    for m, mask in masks.items():
        features[m][~mask] = 0
    return Batch(features, masks, torch.zeros(config.batch_size, dtype=torch.int64))


def own_slice(batch: Batch) -> Batch:
    return Batch(
        {m: x.chunk(num_ranks())[rank()] for m, x in batch.features.items()},
        {m: x.chunk(num_ranks())[rank()] for m, x in batch.masks.items()},
        batch.labels.chunk(num_ranks())[rank()],
    )


def main() -> None:
    torch.set_num_threads(1)
    config_file, out = Path(sys.argv[1]), Path(sys.argv[2])
    with ranks("cpu"):
        for path in sorted(config_file.parent.glob("step-*.json")):
            taken = take_steps(TrainConfig.model_validate_json(path.read_text()))
            torch.save(tuple(taken), out / f"{path.stem}-rank{rank()}.pt")
        train(TrainConfig.model_validate_json(config_file.read_text()), out / "run")


if __name__ == "__main__":
    main()
