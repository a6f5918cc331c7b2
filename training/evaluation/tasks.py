"""The tasks of the paper's tables as data, and the same kinds of tasks on composed scenes.

A probe is trained on the codes of one modality and tested on those of another: what it can still
tell there is what the two modalities share.

Source: SRCID section III-A and Tables I to III; the protocols are those of the published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from model.modality import Modality
from training.data.labelled import CaptionedClips, LabelledClips

Kind = Literal["classification", "localisation"]
Metric = Literal["accuracy", "precision", "recall", "f1", "map"]

MODALITIES = (Modality.VIDEO, Modality.AUDIO)  # in the order of the tables
LETTERS = {Modality.VIDEO: "V", Modality.AUDIO: "A"}


class Side(NamedTuple):
    """What a probe is trained or tested on."""

    data: str  # a name that ``EvaluationData`` knows
    split: str  # "all" where the data set has no splits
    modality: Modality


@dataclass(frozen=True)
class Task:
    """One column of a table: a probe, what it is trained on and what it is tested on."""

    family: str  # as the table's head has it, such as "AVE>AVVP"
    kind: Kind
    train: Side
    test: Side
    published_splits: tuple[str, str]  # that the published code trains and tests on instead
    metric: Metric  # that the table shows
    epochs: int
    epoch_steps: int | None = None  # batches of an epoch; None: all clips once

    @property
    def direction(self) -> str:
        """Such as ``V>A``."""
        return f"{LETTERS[self.train.modality]}>{LETTERS[self.test.modality]}"

    @property
    def name(self) -> str:
        """Such as ``AVE V>A``."""
        return f"{self.family} {self.direction}"

    @property
    def is_same_modality(self) -> bool:
        """Whether it is of the second rows of Table I, which bound what can be had across."""
        return self.train.modality == self.test.modality

    @property
    def published(self) -> tuple[Side, Side]:
        """What the published code trains and tests on: mostly the same clips."""
        train, test = self.published_splits
        return self.train._replace(split=train), self.test._replace(split=test)


@dataclass(frozen=True)
class RetrievalTask:
    """Clips and their sentences, to be found by one another."""

    family: str
    modality: Modality

    def name(self, direction: Literal["text>clip", "clip>text"]) -> str:
        """Such as ``MSCOCO T>V``."""
        letter = LETTERS[self.modality]
        return f"{self.family} " + (f"T>{letter}" if direction == "text>clip" else f"{letter}>T")


@dataclass(frozen=True)
class Suite:
    """All tasks of one benchmark."""

    name: str
    tasks: tuple[Task, ...]
    retrieval: tuple[RetrievalTask, ...]

    def across(self) -> tuple[Task, ...]:
        """Return the tasks across modalities, whose mean is a table's last column."""
        return tuple(task for task in self.tasks if not task.is_same_modality)

    def within(self) -> tuple[Task, ...]:
        """Return the tasks within a modality."""
        return tuple(task for task in self.tasks if task.is_same_modality)


PairedClips = Sequence[Mapping[Modality, Tensor]]  # features [T, F] of one event in each modality


class EvaluationData(Protocol):
    """A benchmark's clips, by the names that its suite uses."""

    suite: Suite
    missing: tuple[str, ...]  # families that the suite lacks, since their data set is not there

    def labelled(self, side: Side) -> LabelledClips:
        """Return the labelled clips of a data set, that have ``side``'s modality."""

    def captioned(self, task: RetrievalTask) -> CaptionedClips:
        """Return the clips of ``task`` with their sentences."""

    def words(self, sentences: Sequence[str]) -> list[Tensor]:
        """Return the features ``[words, F]`` of each sentence."""

    def paired(self) -> PairedClips:
        """Return test clips in which the modalities tell of the same event."""


def _tasks(
    family: str,
    kind: Kind,
    trained: Mapping[Modality, str],
    tested: Mapping[Modality, str],
    *,
    splits: tuple[str, str] = ("train", "test"),
    published: tuple[str, str],
    metric: Metric,
    epochs: int,
    epoch_steps: int | None = None,
) -> tuple[Task, ...]:
    """Return a task for each direction; within a modality too where it is tested on its own data.

    Args:
        family: The name that they share.
        kind: Of the probe.
        trained: The data set of each modality.
        tested: The same of the test.
        splits: Of both.
        published: Splits that the published code uses.
        metric: That a table shows.
        epochs: Of the probe.
        epoch_steps: See ``Task``.
    """
    sides = [
        (Side(trained[first], splits[0], first), Side(tested[second], splits[1], second))
        for first, second in product(MODALITIES, repeat=2)
        if first != second or trained[first] == tested[second]
    ]
    return tuple(
        Task(family, kind, *pair, published, metric, epochs, epoch_steps) for pair in sides
    )


def _both(data: str) -> dict[Modality, str]:
    return dict.fromkeys(MODALITIES, data)


_UCF_VGG = {Modality.VIDEO: "UCF", Modality.AUDIO: "VGGSound"}

PAPER = Suite(
    "paper",
    (
        *_tasks(
            "AVE", "classification", _both("AVE"), _both("AVE"),
            published=("train", "train"), metric="accuracy", epochs=30,
        ),
        *_tasks(
            "AVVP", "localisation", _both("AVVP"), _both("AVVP"),
            published=("all", "all"), metric="precision", epochs=50,
        ),
        *_tasks(
            "AVE>AVVP", "localisation", _both("AVE of AVVP"), _both("AVVP of AVE"),
            splits=("all", "all"), published=("all", "all"), metric="f1", epochs=50,
        ),
        *_tasks(
            "UCF(v)<>VGG(a)", "classification", _UCF_VGG, _UCF_VGG,
            published=("all", "all"), metric="accuracy", epochs=30,
        ),
    ),
    (
        RetrievalTask("MSCOCO", Modality.VIDEO),
        RetrievalTask("MSR-VTT", Modality.VIDEO),
        RetrievalTask("Clotho", Modality.AUDIO),
        RetrievalTask("Clotho, as published", Modality.AUDIO),  # a fifth of its clips
    ),
)  # fmt: skip

_CUTS = {Modality.VIDEO: "cuts", Modality.AUDIO: "sounds"}

# A set of scenes is small: an epoch goes round it until it has taken so many batches.
SCENES = Suite(
    "scenes",
    (
        *_tasks(
            "single", "classification", _both("single"), _both("single"),
            published=("train", "train"), metric="accuracy", epochs=30, epoch_steps=10,
        ),
        *_tasks(
            "many", "localisation", _both("many"), _both("many"),
            published=("train", "train"), metric="f1", epochs=50, epoch_steps=10,
        ),
        *_tasks(
            "single>many", "localisation", _both("single"), _both("many"),
            published=("train", "test"), metric="f1", epochs=50, epoch_steps=10,
        ),
        *_tasks(
            "cuts(v)<>sounds(a)", "classification", _CUTS, _CUTS,
            published=("train", "test"), metric="accuracy", epochs=30, epoch_steps=10,
        ),
    ),
    (RetrievalTask("many", Modality.VIDEO), RetrievalTask("many", Modality.AUDIO)),
)  # fmt: skip
