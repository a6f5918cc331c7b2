"""The probes of a suite on one checkpoint, in two protocols.

``proper`` trains on the train split and looks at the test split once, after the last epoch.
``published`` is what the published code does: the encoder's dropout is active while the probe
learns; within a data set it is tested on the very clips of its training; background counts as a
class; precision and recall are averaged over batches; and the best epoch is the one that is best
on the test clips. (There each epoch draws dropout anew; here a data set is encoded with it once.)

Shape letters: N clips, T steps, C classes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from model.errors import DataError
from training.evaluation.labelled_codes import ClipVectors, Labelled
from training.evaluation.metrics import (
    accuracy,
    batched_precision_recall,
    mean_average_precision,
    precision_recall,
)
from training.evaluation.probe import Probe, ProbeConfig, StepVectors, probe_epochs
from training.evaluation.tasks import Kind, Side, Task

ProtocolName = Literal["proper", "published"]
PROTOCOLS: tuple[ProtocolName, ...] = ("proper", "published")


class Fit(NamedTuple):
    """What makes one probe another: tasks that agree in it share a probe."""

    kind: Kind
    train: Side
    epochs: int
    epoch_steps: int | None


def run_probes(
    tasks: Sequence[Task],
    vectors: ClipVectors,
    *,
    protocol: ProtocolName,
    config: ProbeConfig | None = None,
) -> dict[Task, dict[str, float]]:
    """Return each task's figures in percent: accuracy; or precision, recall and f1.

    With ``proper`` also mean average precision (``map``), which needs no threshold.


    Args:
        tasks: Of one suite.
        vectors: What the probes see.
        protocol: The module's docstring explains them.
        config: How a probe is trained; the published way by default.
    """
    groups: dict[Fit, list[Task]] = defaultdict(list)
    for task in tasks:
        train = task.train if protocol == "proper" else task.published[0]
        groups[Fit(task.kind, train, task.epochs, task.epoch_steps)].append(task)
    run = _proper if protocol == "proper" else _published
    found: dict[Task, dict[str, float]] = {}
    for fit, own in groups.items():
        found |= run(fit, own, vectors, config or ProbeConfig())
    return {task: found[task] for task in tasks}


def _proper(
    fit: Fit, tasks: Sequence[Task], vectors: ClipVectors, config: ProbeConfig
) -> dict[Task, dict[str, float]]:
    clips = vectors.clips(fit.train)
    tests = {task: vectors.clips(task.test) for task in tasks}
    for task, test in tests.items():
        _check_classes(task, clips, test)
    *_, probe = _probes(fit, clips, clips.labels, config)  # as the last epoch leaves it
    return {
        task: _figures(probe, test.vectors, test.labels, batch=None) for task, test in tests.items()
    }


def _published(
    fit: Fit, tasks: Sequence[Task], vectors: ClipVectors, config: ProbeConfig
) -> dict[Task, dict[str, float]]:
    clips = vectors.clips(fit.train, dropout=True)
    tests = {task: vectors.clips(task.published[1]) for task in tasks}
    for task, test in tests.items():
        _check_classes(task, clips, test)
    best: dict[Task, dict[str, float]] = {}
    for probe in _probes(fit, clips, _with_background(fit.kind, clips.labels), config):
        for task, test in tests.items():
            labels = _with_background(fit.kind, test.labels)
            figures = _figures(probe, test.vectors, labels, batch=config.batch_size)
            if task not in best or figures[task.metric] > best[task][task.metric]:
                best[task] = figures
    return best


def _probes(fit: Fit, clips: Labelled, labels: Tensor, config: ProbeConfig) -> Iterator[Probe]:
    return probe_epochs(
        clips.vectors,
        _classes(labels) if fit.kind == "classification" else labels,
        kind=fit.kind,
        classes=labels.shape[-1],
        epochs=fit.epochs,
        epoch_steps=fit.epoch_steps,
        config=config,
    )


@torch.no_grad()
def _figures(
    probe: Probe, vectors: StepVectors, labels: Tensor, *, batch: int | None
) -> dict[str, float]:
    """Return figures in percent; of seconds averaged over batches of ``batch`` clips if given."""
    logits = probe(vectors)
    if probe.kind == "classification":
        return {"accuracy": 100 * accuracy(logits, _classes(labels))}
    found = (
        precision_recall(logits, labels)
        if batch is None
        else batched_precision_recall(logits, labels, batch=batch)
    )
    figures = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
    if batch is None:
        figures["map"] = mean_average_precision(logits, labels)
    return {name: 100 * value for name, value in figures.items()}


def _classes(labels: Tensor) -> Tensor:
    """Return the class ``[N]`` that most seconds of ``labels`` ``[N, T, C]`` show."""
    return labels.sum(1).argmax(-1)


def _with_background(kind: Kind, labels: Tensor) -> Tensor:
    """Return ``[N, T, C + 1]``, the last class true where none is; classification has none."""
    if kind == "classification":
        return labels
    return torch.cat([labels, ~labels.any(-1, keepdim=True)], -1)


def _check_classes(task: Task, train: Labelled, test: Labelled) -> None:
    """See that both sides have as many classes.

    Raises:
        DataError: They have not.
    """
    if train.labels.shape[-1] != test.labels.shape[-1]:
        raise DataError(
            f"{task.name}: {train.labels.shape[-1]} classes in {task.train.data!r}, but "
            f"{test.labels.shape[-1]} in {task.test.data!r}; both need the same classes"
        )
