"""THE loop: a configuration in, a run folder with a checkpoint out. Read it top to bottom."""

import logging
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from model.errors import ConfigError
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.bank import load_bank
from training.data.clips import ComposedClips
from training.data.sample import Sample, collate
from training.losses.objective import Objective
from training.run_log import RunLog
from training.state import restore_state, save_state
from training.step import TrainingStep

logger = logging.getLogger(__name__)

CONFIG = "train.json"


def train(config: TrainConfig, out: Path, *, device: str = "cpu", resume: bool = False) -> Path:
    """Train and return the folder of the checkpoint, ``out / "checkpoint"``.

    Args:
        config: The run; written to ``out / "train.json"``.
        out: The run folder: configuration, log, state, checkpoint.
        device: Where to train.
        resume: Go on where ``out`` left off; the result is that of a run never stopped.

    Raises:
        ConfigError: ``out`` holds another run.
        DataError: The data is missing or malformed.
        NonFiniteLoss: A term of the loss became NaN or infinite.
    """
    _claim(out, config, resume=resume)
    torch.manual_seed(config.seed)
    clips = _clips(config, cache=out.parent / "features")
    loader = DataLoader(
        clips,
        config.batch_size,
        drop_last=True,
        collate_fn=partial(collate, model=config.model, data=config.data),
        pin_memory=device.startswith("cuda"),
    )
    step = TrainingStep(
        SRCID(config.model).to(device),
        Objective(config.model, config.objective).to(device),
        config,
        total_steps=config.epochs * len(loader),
    )
    done = restore_state(out, step) if resume else 0
    with RunLog(out, done=step.steps, total=config.epochs * len(loader)) as log:
        for epoch in range(done, config.epochs):
            clips.epoch = epoch
            step.warm_start.start_epoch(epoch)
            _run_epoch(step, loader, log, epoch=epoch, device=torch.device(device))
            log.flush()
            save_state(out, step, epoch=epoch + 1)
    step.model.save_pretrained(out / "checkpoint", dtype=torch.float16)
    return out / "checkpoint"


def _run_epoch(
    step: TrainingStep,
    loader: DataLoader[Sample],
    log: RunLog,
    *,
    epoch: int,
    device: torch.device,
) -> None:
    step.model.train()
    for batch in loader:
        terms = step(batch.to(device))
        log.step(terms, epoch=epoch, layers=step.warm_start.active_layers)


def _clips(config: TrainConfig, cache: Path) -> ComposedClips:
    data = config.data
    if data.folder is None:
        raise ConfigError("no training data: name a folder with `--data`")
    bank = load_bank(data.folder, config.model, views=data.views, cache=cache)
    return ComposedClips(bank.with_validation(data.validation), data, seed=config.seed)


def _claim(out: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make the run folder, or see that it holds this very run."""
    path = out / CONFIG
    if resume:
        if not path.is_file() or TrainConfig.model_validate_json(path.read_text()) != config:
            raise ConfigError(
                f"{out} does not hold a run of this configuration; resume with the options that "
                "it was started with, or train into another folder"
            )
        return
    if path.is_file():
        raise ConfigError(f"{out} already holds a run; add --resume, or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(config.model_dump_json(indent=2) + "\n")
