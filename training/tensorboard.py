"""The run in TensorBoard: the one file that opens it, and only for those who asked for it."""

from collections.abc import Mapping
from pathlib import Path

from model.errors import ConfigError


class TensorBoardLog:
    """Writes event files to ``folder / "tensorboard"``; ``tensorboard --logdir`` shows them.

    Raises:
        ConfigError: The package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: Path, *, steps: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "TensorBoard is not installed: pip install 'srcid[tensorboard]', or leave out "
                "--tensorboard (log.jsonl holds the same numbers)"
            ) from error
        # A resumed run hides the points of the steps that it repeats.
        self.writer = SummaryWriter(folder / "tensorboard", purge_step=steps)

    def step(self, number: int, terms: Mapping[str, float], *, epoch: int, layers: int) -> None:
        """Add a point to every curve."""
        for name, value in {"epoch": epoch, "layers": layers, **terms}.items():
            self.writer.add_scalar(name, value, number)

    def validation(self, epoch: int, figures: Mapping[str, float], *, steps: int) -> None:
        """Add a point to every curve of the validation split."""
        for name, value in figures.items():
            self.writer.add_scalar(f"validation/{name}", value, steps)

    def flush(self) -> None:
        """Put all points on disk."""
        self.writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self.writer.close()
