"""The state of a run: everything that a resumed run needs to go on bit for bit."""

import os
from pathlib import Path
from typing import Any

import torch

from model.errors import CheckpointError
from training.step import TrainingStep

STATE = "state.pt"


def save_state(folder: Path, step: TrainingStep, *, epoch: int) -> None:
    """Write ``state.pt`` into ``folder`` after ``epoch`` epochs, aside and then renamed."""
    state = {
        "epoch": epoch,
        "model": step.model.state_dict(),
        "objective": step.objective.state_dict(),
        "optimizer": step.optimizer.state_dict(),
        "club_optimizer": step.club_optimizer.state_dict(),
        "schedule": step.schedule.state_dict(),
        "warm_start": step.warm_start.state(),
        "steps": step.steps,
        "generator": step.generator.get_state(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    aside = folder / f"{STATE}.partial"
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(folder / STATE)


def restore_state(folder: Path, step: TrainingStep) -> int:
    """Bring ``step`` to where ``folder`` left off; return the number of epochs done.

    Raises:
        CheckpointError: There is no state, or it belongs to another configuration.
    """
    path = folder / STATE
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: this run has nothing to resume; start it anew")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    try:
        step.model.load_state_dict(state["model"])
        step.objective.load_state_dict(state["objective"])
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit config.json beside it: {error}") from error
    step.optimizer.load_state_dict(state["optimizer"])
    step.club_optimizer.load_state_dict(state["club_optimizer"])
    step.schedule.load_state_dict(state["schedule"])
    step.warm_start.restore(state["warm_start"])
    step.steps = state["steps"]
    step.generator.set_state(state["generator"])
    torch.set_rng_state(state["rng"])
    if state["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    return int(state["epoch"])
