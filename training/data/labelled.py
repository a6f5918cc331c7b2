"""What the evaluation reads: clips with their features, and what happens in each of their seconds.

The published archives and the composed scenes both come as these, so that one runner serves both.
Shape letters: T steps, F feature dim, C classes.
"""

from typing import Protocol

from torch import Tensor

from model.modality import Modality


class LabelledClips(Protocol):
    """The clips of one split of one data set, labelled by the second."""

    name: str  # as a table has it, such as "AVE"
    classes: tuple[str, ...]  # C of them; background is none
    modalities: tuple[Modality, ...]  # those that the clips have

    def __len__(self) -> int: ...

    def features(self, index: int, modality: Modality) -> Tensor:
        """Return ``[T, *F]`` float32."""

    def labels(self, index: int, modality: Modality) -> Tensor:
        """Return bool ``[T, C]``: what can be seen, or heard, in each second."""


class CaptionedClips(Protocol):
    """The clips of one split of one data set, each with the sentences that describe it."""

    name: str
    modality: Modality  # what the sentences are to find

    def __len__(self) -> int: ...

    def features(self, index: int) -> Tensor:
        """Return ``[T, *F]`` float32."""

    def captions(self, index: int) -> tuple[str, ...]:
        """Return the sentences of a clip; at least one."""
