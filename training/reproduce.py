"""All rows of a table, trained and evaluated over seeds: resumable, since it takes days.

A run's folder is ``OUT/RECIPE-SEED``. Its ``figures.json`` is written last: what has one is done.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import NonNegativeFloat, ValidationError

from model.config import FrozenModel
from model.errors import ConfigError, DataError
from model.files import atomic_write_text
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.processes import in_processes
from training.errors import NonFiniteLoss
from training.evaluation.benchmarks import open_benchmark
from training.evaluation.figures import all_figures, ceiling_figures
from training.evaluation.tasks import EvaluationData
from training.run_folder import read_config
from training.train import CHECKPOINT, train

FIGURES, PROGRESS, CEILING = "figures.json", "progress.txt", "ceiling.json"


class RunFigures(FrozenModel):
    """What is kept of a run."""

    seconds: NonNegativeFloat  # of training and evaluation, by the clock, since it was last begun
    figures: dict[str, float]


class Run(NamedTuple):
    """One recipe with one seed."""

    config: TrainConfig
    folder: Path
    threads: int | None = None  # of torch, in a process of its own; None: in this one


class Progress(NamedTuple):
    """Where a reproduction is."""

    last: Run | None  # that was just finished
    failure: str | None  # why it has no figures; the next call tries it again
    done: int
    total: int
    seconds_spent: float  # of all runs that are done, in this call or an earlier one
    seconds_left: float | None  # by the clock, as the runs so far have it; None before the first


def plan(configs: Sequence[TrainConfig], seeds: Sequence[int], out: Path) -> list[Run]:
    """Return the runs, seed by seed, so that every row has figures early.

    Raises:
        ConfigError: A folder holds a run of another configuration.
    """
    runs = []
    for seed in seeds:
        for config in configs:
            own = config.model_copy(update={"seed": seed})
            folder = out / f"{config.name}-{seed}"
            begun = read_config(folder)
            if begun not in (None, own):
                raise ConfigError(
                    f"{folder} holds a run of another configuration; name another --out, or "
                    "delete that folder"
                )
            runs.append(Run(own, folder))
    return runs


def reproduce(runs: Sequence[Run], *, jobs: int = 1) -> Iterator[Progress]:
    """Train and evaluate what is not done yet; yield at the start and after each run.

    Args:
        runs: All of them; those that are done are counted and left alone.
        jobs: Processes side by side. They share the processor's threads, and write what they
            would show into ``progress.txt`` of their run's folder.
    """
    waiting = [run for run in runs if read_figures(run.folder) is None]
    began = time.monotonic()
    yield _progress(runs, left=len(waiting), pace=None)
    for count, (run, failure) in enumerate(_done(waiting, jobs), start=1):
        pace = (time.monotonic() - began) / count
        now = _progress(runs, left=len(waiting) - count, pace=pace)
        yield now._replace(last=run, failure=failure)


def read_figures(folder: Path) -> RunFigures | None:
    """Return what is kept of a run; None where it is not done.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / FIGURES
    try:
        return RunFigures.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DataError(f"{path} is damaged: delete it to evaluate its run again") from error


def ceiling(data: EvaluationData, out: Path) -> dict[str, float]:
    """Return what probes of the frozen features reach; computed once, then kept in ``out``."""
    path = out / CEILING
    if not path.is_file():
        kept = RunFigures(seconds=0, figures=ceiling_figures(data))
        atomic_write_text(path, kept.model_dump_json(indent=1) + "\n")
    return RunFigures.model_validate_json(path.read_bytes()).figures


def _done(runs: Sequence[Run], jobs: int) -> Iterator[tuple[Run, str | None]]:
    """Yield each run when it is over, with what was wrong with it."""
    if jobs == 1:
        for run in runs:
            yield run, _run(run) or None
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    apart = [run._replace(threads=threads) for run in runs]
    for run, failure in in_processes(_run, apart, workers=jobs):
        yield run, "its process was killed" if failure is None else failure or None


def _run(run: Run) -> str:
    """Train and evaluate one run; return what was wrong, or nothing.

    A run whose loss is not finite is no reason to end the others. In a process of its own it
    keeps what it shows to itself.
    """
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    run.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if run.threads is not None:
            file = stack.enter_context((run.folder / PROGRESS).open("a", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stderr(file))
        try:
            _train_and_evaluate(run)
        except NonFiniteLoss as error:
            return str(error)
    return ""


def _train_and_evaluate(run: Run) -> None:
    began = time.monotonic()
    train(run.config, run.folder, resume=True)
    model = SRCID.from_pretrained(run.folder / CHECKPOINT)
    assert run.config.data.folder is not None
    figures = all_figures(model, open_benchmark(run.config.data.folder, run.config.model))
    kept = RunFigures(seconds=time.monotonic() - began, figures=figures)
    atomic_write_text(run.folder / FIGURES, kept.model_dump_json(indent=1) + "\n")


def _progress(runs: Sequence[Run], *, left: int, pace: float | None) -> Progress:
    """Return the progress of ``runs``, with ``left`` more at ``pace`` seconds each."""
    kept = [figures for run in runs if (figures := read_figures(run.folder))]
    return Progress(
        last=None,
        failure=None,
        done=len(kept),
        total=len(runs),
        seconds_spent=sum(own.seconds for own in kept),
        seconds_left=None if pace is None else pace * left,
    )
