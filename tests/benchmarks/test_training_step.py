"""The yardstick of the speed of a training step takes the step that it claims to take."""

import pytest
import torch

from benchmarks.published_step import PublishedStep
from benchmarks.training_step import PARTS, our_step, paper, random_batch, shares
from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.losses.objective import Objective
from training.recipes import override
from training.step import TrainingStep


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    sizes = {
        "model.dim": 16,
        "model.feedforward_dim": 16,
        "model.dropout": 0,
        "model.quantizer.codebook_size": 12,
        "model.modalities.audio.feature_shape": [6],
        "model.modalities.video.feature_shape": [5, 5, 6],
        "model.modalities.text.feature_shape": [6],
        "data.steps": 4,
        "model.max_steps": 4,
        "objective.club.fits": 1,
        "optim.precision": "float32",
    }
    return override(paper(8), sizes)


def test_both_steps_start_from_the_same_losses(config: TrainConfig) -> None:
    """But for the random draws (MI, CPC), and for code matching, after the codebook moved."""
    torch.manual_seed(0)
    model = SRCID(config.model).double()
    twin = SRCID(config.model).double()
    twin.load_state_dict(model.state_dict())
    objective = Objective(config.model, config.objective).double()
    published = PublishedStep(twin, Objective(config.model, config.objective).double(), config)
    for codebook, layer in zip(published.codebooks, model.stages, strict=True):
        codebook.vectors = layer.quantizer.codebook.vectors.clone()
    batch = random_batch(config, 5)
    double = Batch({m: x.double() for m, x in batch.features.items()}, batch.masks, batch.labels)
    ours = TrainingStep(model, objective, config, total_steps=10)
    ours.warm_start.start_epoch(0)
    found, expected = ours(double), published(double)
    for depth in (0, 1):
        for m in Modality:
            for kind in ("reconstruction", "commitment"):
                theirs = expected[f"{depth}/{kind}/{m}"]
                assert found[f"layer{depth + 1}/{kind}/{m}"] == pytest.approx(theirs, rel=1e-9)


def test_the_shares_cover_the_step_and_no_part_is_missed(config: TrainConfig) -> None:
    step, batch = our_step(config), random_batch(config, 5)
    step(batch)
    found = shares(step, batch)
    assert sum(found.values()) == pytest.approx(1)
    assert all(found[part] > 0.005 for part in PARTS)
    assert found["rest"] < 0.4
