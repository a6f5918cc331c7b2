"""The log of a run: a JSON line a step, a progress bar with the time left, and TensorBoard."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tqdm import tqdm

LOG, VALIDATION = "log.jsonl", "validation.jsonl"


class Sink(Protocol):
    """One place where a run is logged."""

    def step(self, number: int, terms: Mapping[str, float], *, epoch: int, layers: int) -> None:
        """Log the terms of step ``number``, from 0, of which ``layers`` took part."""

    def validation(self, epoch: int, figures: Mapping[str, float], *, steps: int) -> None:
        """Log the figures after ``epoch``, when ``steps`` steps had been taken."""

    def flush(self) -> None:
        """Put what was logged on disk: the state is about to be saved."""

    def close(self) -> None:
        """Finish."""


class JsonLog:
    """``log.jsonl``, one line per step, and ``validation.jsonl``, one per epoch.

    A resumed run takes back the lines of the steps and epochs that it is about to repeat.
    """

    def __init__(self, folder: Path, *, steps: int, epochs: int) -> None:
        self.validated = folder / VALIDATION
        _cut(folder / LOG, steps)
        _cut(self.validated, epochs)
        self.file = (folder / LOG).open("a", encoding="utf-8")

    def step(self, number: int, terms: Mapping[str, float], *, epoch: int, layers: int) -> None:
        """Write a line."""
        record = {"step": number, "epoch": epoch, "layers": layers, **terms}
        self.file.write(json.dumps(record) + "\n")

    def validation(self, epoch: int, figures: Mapping[str, float], *, steps: int) -> None:
        """Write a line."""
        with self.validated.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": steps, "epoch": epoch, **figures}) + "\n")

    def flush(self) -> None:
        """Put all lines on disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class ProgressBar:
    """Steps done and time left, on the terminal."""

    def __init__(self, *, steps: int, total: int) -> None:
        self.bar = tqdm(total=total, initial=steps, desc="training", unit="step")
        self.validated = ""

    def step(self, number: int, terms: Mapping[str, float], *, epoch: int, layers: int) -> None:
        """Move on by a step."""
        self.bar.update()
        text = f"epoch {epoch}, {layers} layer(s), loss {terms['total']:.2f}{self.validated}"
        self.bar.set_postfix_str(text, refresh=False)

    def validation(self, epoch: int, figures: Mapping[str, float], *, steps: int) -> None:
        """Show the mean from now on."""
        self.validated = f", validation {figures['mean']:.3f}"

    def flush(self) -> None:
        """Do nothing: a bar keeps nothing back."""

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()


class RunLog:
    """Tells every sink; closes them at the end of its ``with`` block."""

    def __init__(self, sinks: list[Sink]) -> None:
        self.sinks = sinks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sink in self.sinks:
            sink.close()

    def step(self, number: int, terms: Mapping[str, float], *, epoch: int, layers: int) -> None:
        """Log one step's terms."""
        for sink in self.sinks:
            sink.step(number, terms, epoch=epoch, layers=layers)

    def validation(self, epoch: int, figures: Mapping[str, float], *, steps: int) -> None:
        """Log one epoch's figures."""
        for sink in self.sinks:
            sink.validation(epoch, figures, steps=steps)

    def flush(self) -> None:
        """Put what was logged on disk; called where the state is saved."""
        for sink in self.sinks:
            sink.flush()


def _cut(path: Path, lines: int) -> None:
    """Cut off what follows the first ``lines`` lines of ``path``, in place."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        for _ in range(lines):
            file.readline()
        file.truncate(file.tell())
