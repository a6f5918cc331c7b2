"""The labelled clips of a benchmark as what a probe sees, each data set encoded once.

Shape letters: N clips, T steps, F feature dim, C classes (codes: C code rows), D vector dim.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from model.errors import DataError
from model.srcid import SRCID
from training.data.labelled import LabelledClips
from training.evaluation.encoding import decode, encode_features, with_dropout
from training.evaluation.probe import StepVectors
from training.evaluation.tasks import EvaluationData, Side


class Labelled(NamedTuple):
    """Clips as a probe sees them."""

    vectors: StepVectors
    labels: Tensor  # [N, T, C] bool


class ClipVectors(Protocol):
    """Where a probe's vectors come from."""

    def clips(self, side: Side, *, dropout: bool = False) -> Labelled:
        """Return the clips of ``side``, encoded with active dropout where asked."""


class CodeVectors:
    """The codes of a checkpoint, kept for every data set and modality that was asked for."""

    def __init__(self, model: SRCID, data: EvaluationData) -> None:
        self.model, self.data = model, data
        self.noisy = with_dropout(model)
        self.codes: dict[tuple[Side, bool], Tensor] = {}  # [N, C, T]
        self.labels: dict[Side, Tensor] = {}  # [N, T, C]

    def of_layers(self, layers: Sequence[int]) -> "LayerVectors":
        """Return the vectors of the codes of ``layers``, indices from 0."""
        return LayerVectors(self, layers)

    def encoded(self, side: Side, *, dropout: bool) -> Tensor:
        """Return the codes ``[N, C, T]`` of all clips of ``side``."""
        if (side, dropout) not in self.codes:
            source = self.data.labelled(side)
            features = (source.features(i, side.modality) for i in range(len(source)))
            model = self.noisy if dropout else self.model
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                encoded = [own.codes for own in encode_features(model, side.modality, features)]
            self.codes[side, dropout] = torch.stack(encoded)
            self.labels[side] = labels_of(source, side)
        return self.codes[side, dropout]


class LayerVectors:
    """What the codes of some layers stand for."""

    def __init__(self, codes: CodeVectors, layers: Sequence[int]) -> None:
        self.codes, self.layers = codes, layers

    def clips(self, side: Side, *, dropout: bool = False) -> Labelled:
        """Return the clips of ``side``."""
        codes = self.codes.encoded(side, dropout=dropout)  # [N, C, T]
        steps = codes.movedim(1, 0).flatten(1)  # [C, N * T]
        table, rows = decode(self.codes.model, steps, self.layers)
        vectors = StepVectors(table, rows.view(len(codes), -1))
        return Labelled(vectors, self.codes.labels[side])


class FeatureVectors:
    """The frozen features themselves: what no code can surpass by much. Maps give their mean."""

    def __init__(self, data: EvaluationData) -> None:
        self.data = data

    def clips(self, side: Side, *, dropout: bool = False) -> Labelled:
        """Return the clips of ``side``; features know no dropout."""
        source = self.data.labelled(side)
        features = (source.features(i, side.modality) for i in range(len(source)))
        vectors = torch.stack([x.flatten(1, -2).mean(1) if x.dim() > 2 else x for x in features])
        return Labelled(StepVectors.of(vectors), labels_of(source, side))


def labels_of(source: LabelledClips, side: Side) -> Tensor:
    """Return what happens in each second of all clips, ``[N, T, C]`` bool.

    Raises:
        DataError: There is no clip, or clips are of different lengths.
    """
    labels = [source.labels(i, side.modality) for i in range(len(source))]
    shapes = {tuple(own.shape) for own in labels}
    if len(shapes) != 1:
        found = f"labels of the shapes {sorted(shapes)}" if shapes else "no clips"
        raise DataError(
            f"{side.data}, split {side.split!r}: {found}; a probe needs clips of one length"
        )
    return torch.stack(labels)
