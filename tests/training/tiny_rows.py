"""Rows of a table so small that they train in a second, and probes of one epoch."""

from pathlib import Path

import pytest

from model.config import SRCIDConfig
from model.srcid import SRCID
from training.config import TrainConfig
from training.recipes import on_scenes, override, recipe
from training.run_folder import write_config
from training.train import CHECKPOINT

TINY = {
    "model.dim": 8,
    "model.num_heads": 2,
    "model.feedforward_dim": 16,
    "model.quantizer.codebook_size": 16,
    "objective.club.hidden_dim": 8,
    "objective.club.fits": 1,
    "warm_start.epoch": 1,
    "data.clips_per_epoch": 24,
    "batch_size": 12,
    "epochs": 2,
}


def tiny(name: str, scenes: Path, config: SRCIDConfig) -> TrainConfig:
    modalities = config.model_dump(mode="json")["modalities"]
    settings = TINY | {"model.modalities": modalities, "data.folder": str(scenes)}
    return override(on_scenes(recipe(name)), settings)


def write_run(folder: Path, config: TrainConfig) -> None:
    """Write what a run that learned nothing leaves behind."""
    folder.mkdir(parents=True)
    write_config(folder, config)
    SRCID(config.model).save_pretrained(folder / CHECKPOINT)


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe of one epoch: that probes learn is tested beside them."""
    from training.evaluation import runner

    whole = runner.probe_epochs

    def shortened(*args: object, **settings: object) -> object:
        return whole(*args, **(settings | {"epochs": 1, "epoch_steps": 1}))

    monkeypatch.setattr(runner, "probe_epochs", shortened)
