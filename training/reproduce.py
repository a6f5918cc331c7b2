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
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.processes import in_processes
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
    yield _progress(runs, len(waiting), len(waiting), began, None)
    left = len(waiting)
    for run in _done(waiting, jobs):
        left -= 1
        yield _progress(runs, len(waiting), left, began, run)


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
        raise DataError(f"{path} is damaged: delete it, and its run is evaluated anew") from error


def ceiling(data: EvaluationData, out: Path) -> dict[str, float]:
    """Return what probes of the frozen features reach; computed once, then kept in ``out``."""
    path = out / CEILING
    if not path.is_file():
        kept = RunFigures(seconds=0, figures=ceiling_figures(data))
        path.write_text(kept.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return RunFigures.model_validate_json(path.read_bytes()).figures


def _done(runs: Sequence[Run], jobs: int) -> Iterator[Run]:
    if jobs == 1:
        for run in runs:
            _run(run)
            yield run
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    apart = [run._replace(threads=threads) for run in runs]
    for run, done in in_processes(_run, apart, workers=jobs):
        if done is None:
            raise DataError(f"{run.folder}: its process was killed; begin again, and it goes on")
        yield run


def _run(run: Run) -> bool:
    """Train and evaluate one run; a process of its own keeps what it shows to itself."""
    if run.threads is None:
        _train_and_evaluate(run)
        return True
    torch.set_num_threads(run.threads)
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / PROGRESS).open("a") as file, contextlib.redirect_stderr(file):
        _train_and_evaluate(run)
    return True


def _train_and_evaluate(run: Run) -> None:
    began = time.monotonic()
    train(run.config, run.folder, resume=True)
    model = SRCID.from_pretrained(run.folder / CHECKPOINT)
    assert run.config.data.folder is not None
    figures = all_figures(model, open_benchmark(run.config.data.folder, run.config.model))
    kept = RunFigures(seconds=time.monotonic() - began, figures=figures)
    aside = run.folder / f"{FIGURES}.partial"
    aside.write_text(kept.model_dump_json(indent=1) + "\n", encoding="utf-8")
    aside.rename(run.folder / FIGURES)


def _progress(
    runs: Sequence[Run], begun_with: int, left: int, began: float, last: Run | None
) -> Progress:
    kept = [figures for run in runs if (figures := read_figures(run.folder))]
    here = begun_with - left
    pace = (time.monotonic() - began) / here if here else None
    return Progress(
        last,
        len(runs) - left,
        len(runs),
        sum(own.seconds for own in kept),
        None if pace is None else pace * left,
    )
