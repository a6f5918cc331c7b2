"""A small benchmark of known truth: what is seen and heard are noisy copies of one class vector."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.modality import Modality
from training.evaluation.tasks import (
    PairedClips,
    RetrievalTask,
    Side,
    Suite,
    Task,
)

CLASSES, STEPS, FEATURES = 3, 4, 8
DIRECTIONS = tuple((first, second) for first in ("video", "audio") for second in ("video", "audio"))


def suite() -> Suite:
    tasks = [
        Task(
            family,
            kind,
            Side(family, "train", Modality(first)),
            Side(family, "test", Modality(second)),
            ("train", "train"),
            metric,
            epochs=3,
            epoch_steps=8,
        )
        for family, kind, metric in (
            ("one", "classification", "accuracy"),
            ("several", "localisation", "f1"),
        )
        for first, second in DIRECTIONS
    ]
    return Suite("made up", tuple(tasks), (RetrievalTask("told", Modality.AUDIO),))


class MadeUpClips:
    """Clips of three classes; in the localised ones each second has its own."""

    modalities = (Modality.AUDIO, Modality.VIDEO)
    classes = ("a", "b", "c")

    def __init__(self, name: str, split: str, *, count: int = 12, noise: float = 0.1) -> None:
        self.name, self.count, self.noise = name, count, noise
        self.seed = 0 if split == "train" else 1

    def __len__(self) -> int:
        return self.count

    def features(self, index: int, modality: Modality) -> Tensor:
        generator = torch.Generator().manual_seed(7 * index + self.seed)
        means = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(5))
        clean = self.labels(index, modality).float() @ means
        return clean + self.noise * torch.randn(STEPS, FEATURES, generator=generator)

    def labels(self, index: int, modality: Modality) -> Tensor:
        labels = torch.zeros(STEPS, CLASSES, dtype=torch.bool)
        if self.name == "one":
            labels[:, index % CLASSES] = True
        else:
            labels[torch.arange(STEPS - 1), (index + torch.arange(STEPS - 1)) % CLASSES] = True
        return labels


class MadeUpCaptions:
    name, modality = "told", Modality.AUDIO

    def __len__(self) -> int:
        return 6

    def features(self, index: int) -> Tensor:
        return MadeUpClips("one", "test").features(index, Modality.AUDIO)

    def captions(self, index: int) -> tuple[str, ...]:
        return (f"clip {index}", "what several clips share" if index < 2 else f"also {index}")


class MadeUpBenchmark:
    suite = suite()
    missing: tuple[str, ...] = ()

    def __init__(self, **clips: float) -> None:
        self.clips = clips
        self.opened: list[Side] = []

    def labelled(self, side: Side) -> MadeUpClips:
        self.opened.append(side)
        return MadeUpClips(side.data, side.split, **self.clips)

    def captioned(self, task: RetrievalTask) -> MadeUpCaptions:
        return MadeUpCaptions()

    def words(self, sentences: Sequence[str]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(len(own.split()), FEATURES, generator=generator) for own in sentences]

    def paired(self) -> PairedClips:
        clips = MadeUpClips("one", "test")
        return [
            {
                Modality.AUDIO: clips.features(n, Modality.AUDIO),
                Modality.VIDEO: clips.features(n, Modality.VIDEO),
                Modality.TEXT: clips.features(n, Modality.VIDEO)[:2],
            }
            for n in range(len(clips))
        ]
