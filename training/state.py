"""The state of a run: everything that a resumed run needs to go on bit for bit.

Steps are seeded by their number and clips by theirs (``TrainingStep``, ``ComposedClips``), so
there is no random state to keep: how many steps were taken tells where the run is.
"""

import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from model.errors import CheckpointError
from model.files import atomic_write
from training.run_log import RunLog
from training.step import TrainingStep
from training.stopping import Stopping

STATE = "state.pt"


def save_state(folder: Path, step: TrainingStep, stopping: Stopping) -> None:
    """Write ``state.pt`` atomically: a kill leaves the old state or the new one."""
    state = {
        "steps": step.steps,
        "model": step.model.state_dict(),
        "objective": step.objective.state_dict(),
        "optimizer": step.optimizer.state_dict(),
        "club_optimizer": step.club_optimizer.state_dict(),
        "schedule": step.schedule.state_dict(),
        "warm_start": step.warm_start.state(),
        "stopping": stopping.state(),
        "started_layers": step.started_layers,
    }
    with atomic_write(folder / STATE) as file:
        torch.save(state, file)


def restore_state(folder: Path, step: TrainingStep, stopping: Stopping) -> None:
    """Bring ``step`` and ``stopping`` to where ``folder`` left off.

    A run that was stopped before it saved anything has no ``state.pt``: it begins at step 0.

    Raises:
        CheckpointError: The state is damaged, or belongs to another configuration.
    """
    path = folder / STATE
    if not path.is_file():
        return
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        step.model.load_state_dict(state["model"])
        step.objective.load_state_dict(state["objective"])
        step.optimizer.load_state_dict(state["optimizer"])
        step.club_optimizer.load_state_dict(state["club_optimizer"])
        step.schedule.load_state_dict(state["schedule"])
        step.warm_start.restore(state["warm_start"])
        stopping.restore(state["stopping"])
        step.steps = int(state["steps"])
        step.started_layers = int(state["started_layers"])
    except (RuntimeError, UnpicklingError, KeyError, ValueError) as error:
        reason = str(error).partition(":\n")[0]  # torch goes on to name every parameter
        raise CheckpointError(
            f"{path} is damaged, or of another version or configuration ({reason}); "
            "delete it to start this run again"
        ) from error


class Autosave:
    """Saves the state when called, and knows when ``minutes`` have passed since it last did."""

    def __init__(
        self, folder: Path, step: TrainingStep, stopping: Stopping, log: RunLog, *, minutes: float
    ) -> None:
        self.folder, self.step, self.stopping, self.log = folder, step, stopping, log
        self.seconds = 60 * minutes
        self.last = time.monotonic()

    def __call__(self) -> None:
        """Save now: the log first, so that it never lacks a line of what the state has done."""
        self.log.flush()
        save_state(self.folder, self.step, self.stopping)
        self.last = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether it is time to save again."""
        return time.monotonic() - self.last >= self.seconds
