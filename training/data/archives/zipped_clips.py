"""Labelled clips of one modality whose features are a zip each.

Shape letters: T steps, F feature dim, C classes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from model.modality import Modality
from training.data.archives.feature_store import STEPS, FeatureStore, check_files


class Event(NamedTuple):
    """Something that goes on in a clip."""

    label: int  # class index
    onset: int  # its first second
    offset: int  # the second after its last


class ZippedClip(NamedTuple):
    """One clip."""

    id: str  # name of its file in the store
    events: tuple[Event, ...]


@dataclass
class ZippedClips:
    """Clips of ten seconds, of which one modality is there (``LabelledClips``).

    Raises:
        DataError: Files of them are missing.
    """

    name: str
    classes: tuple[str, ...]
    modalities: tuple[Modality, ...]
    store: FeatureStore
    clips: tuple[ZippedClip, ...]

    def __post_init__(self) -> None:
        check_files({self.store: [clip.id for clip in self.clips]})

    def __len__(self) -> int:
        return len(self.clips)

    def features(self, index: int, modality: Modality) -> Tensor:
        """Return ``[T, *F]`` float32."""
        assert modality in self.modalities
        return self.store.load(self.clips[index].id)

    def labels(self, index: int, modality: Modality) -> Tensor:
        """Return bool ``[T, C]``."""
        assert modality in self.modalities
        labels = torch.zeros(STEPS, len(self.classes), dtype=torch.bool)
        for event in self.clips[index].events:
            labels[event.onset : event.offset, event.label] = True
        return labels
