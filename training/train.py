"""THE loop: a configuration in, a run folder with a checkpoint out. Read it top to bottom."""

from pathlib import Path

import torch

from model.srcid import SRCID
from training.codebook_fits import refit_residual, start_codebook
from training.config import TrainConfig
from training.data.bank import Bank
from training.data.batches import Batches
from training.data.open import TrainingData, open_dataset
from training.distributed import agree, is_main, main_first, ranks
from training.initial import initial_model, with_share_of
from training.losses.objective import Objective
from training.plots import write_plots
from training.run_folder import check_run_folder, write_config
from training.run_log import JsonLog, ProgressBar, RunLog, Sink
from training.state import Autosave, restore_state
from training.step import TrainingStep
from training.stopping import Stopping, validate
from training.tensorboard import TensorBoardLog

CHECKPOINT = "checkpoint"


def train(
    config: TrainConfig,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    compiled: bool = False,
    tensorboard: bool = False,
    save_minutes: float = 5.0,
    data: TrainingData | None = None,
) -> Path:
    """Train and return the folder of the checkpoint, ``out / "checkpoint"``.

    Args:
        config: The run; written to ``out / "train.json"``.
        out: The run folder: configuration, logs, plots, state, checkpoint.
        device: Where to train; started by torchrun, each process takes the GPU of its number.
        resume: Go on where ``out`` left off; the result is that of a run never stopped.
        compiled: Compile the layers (torch.compile): minutes at the start, less for each step.
        tensorboard: Log to ``out / "tensorboard"`` as well.
        save_minutes: The state is saved after each epoch, and in it when so many have passed.
        data: What to train on, where it is opened already; what ``config.data`` names by default.

    Raises:
        ConfigError: ``out`` holds another run, or the configuration cannot be run.
        CheckpointError: The state to resume from, or the checkpoint to start from, is damaged.
        DataError: The data is missing or malformed.
        NonFiniteLoss: A term of the loss became NaN or infinite.
    """
    check_run_folder(out, config, resume=resume)
    with ranks(device) as device:
        with main_first():
            clips, bank = data or open_dataset(config, cache=out.parent / "features")
        batches = Batches(clips, config, pin_memory=device.startswith("cuda"))
        step = _build_step(config, device, total_steps=config.epochs * batches.epoch_steps)
        stopping = Stopping(config.stopping, config.model.num_layers)
        if resume:
            restore_state(out, step, stopping)
        if compiled:
            for layer in step.model.stages:
                layer.compile()

        with _open_log(out, step, batches, tensorboard=tensorboard) as log:
            save = Autosave(out, step, stopping, log, minutes=save_minutes)
            for epoch in range(step.steps // batches.epoch_steps, config.epochs):
                if agree(stopping.done, device):
                    break
                _run_epoch(step, batches, log, save, epoch=epoch)
                if is_main():
                    model = _to_keep(step)
                    if _is_best(step, model, stopping, bank, log, epoch=epoch):
                        model.save_pretrained(out / CHECKPOINT, dtype=torch.float16)
                    save()
        if is_main():
            step.warm_start.finish()
            if config.codebooks.refit:
                _refit(out / CHECKPOINT, batches)
            write_plots(out)
    return out / CHECKPOINT


def _run_epoch(
    step: TrainingStep, batches: Batches, log: RunLog, save: Autosave, *, epoch: int
) -> None:
    """Take the steps of ``epoch`` that were not taken yet."""
    step.model.train()
    step.warm_start.start_epoch(epoch)
    done = step.steps - epoch * batches.epoch_steps
    device = next(step.model.parameters()).device
    for batch in batches.epoch(epoch, start=done):
        if is_main() and save.is_due():
            save()
        layers = step.warm_start.active_layers
        if step.config.codebooks.start == "k-means":
            _start_codebooks(step, batches)
        terms = step(batch.to(device))
        log.step(step.steps - 1, terms, epoch=epoch, layers=layers)


def _start_codebooks(step: TrainingStep, batches: Batches) -> None:
    """Begin the codebook of a layer that joins with this step."""
    while step.started_layers < step.warm_start.active_layers:
        some = batches.epoch(0, start=0)
        start_codebook(step.model, step.started_layers, some, seed=step.config.seed)
        step.started_layers += 1


def _refit(checkpoint: Path, batches: Batches) -> None:
    """Fit the residual codebook of the checkpoint to clips that no step has seen."""
    model = SRCID.from_pretrained(checkpoint)
    config = batches.config
    refit_residual(model, batches.epoch(config.epochs, start=0), seed=config.seed)
    model.save_pretrained(checkpoint, dtype=torch.float16)


def _to_keep(step: TrainingStep) -> SRCID:
    """Return the network as a checkpoint has it after this step."""
    share = step.config.optim.start_share
    return with_share_of(initial_model(step.config), step.model, share) if share else step.model


def _is_best(
    step: TrainingStep,
    model: SRCID,
    stopping: Stopping,
    bank: Bank,
    log: RunLog,
    *,
    epoch: int,
) -> bool:
    """Tell whether the network is now the best so far; without validation, the last one is."""
    if not step.config.data.validation:
        return True
    layers = step.warm_start.active_layers
    figures = validate(model, bank, num_layers=layers)
    log.validation(epoch, figures, steps=step.steps)
    return stopping.observe(figures["mean"], epoch=epoch, layers=layers)


def _build_step(config: TrainConfig, device: str, *, total_steps: int) -> TrainingStep:
    model = initial_model(config)  # the same weights on every rank
    objective = Objective(config.model, config.objective)
    objective.anchor_to(model)
    model.to(device)
    objective.to(device)
    return TrainingStep(model, objective, config, total_steps=total_steps)


def _open_log(out: Path, step: TrainingStep, batches: Batches, *, tensorboard: bool) -> RunLog:
    """Open the log after the steps that are done; write the configuration beside it."""
    if not is_main():
        return RunLog([])
    sinks: list[Sink] = [TensorBoardLog(out, steps=step.steps)] if tensorboard else []
    write_config(out, step.config)
    total = step.config.epochs * batches.epoch_steps
    epochs = step.steps // batches.epoch_steps
    json_log = JsonLog(out, steps=step.steps, epochs=epochs)
    return RunLog([*sinks, json_log, ProgressBar(steps=step.steps, total=total)])
