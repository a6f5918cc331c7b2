"""Clips and sentences, found by one another's codes.

An item's vector is the mean over time of its codes' vectors. Two others stand beside it:
``mean first`` quantizes the time mean of the general vectors, as the published DCID code does, and
``index`` compares which codes occur, whatever their vectors are.

Shape letters: N items, T steps, D hidden dim, K layers, L codebook size, C code rows.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from training.data.labelled import CaptionedClips
from training.evaluation.encoding import Encoded, decode, encode_features
from training.evaluation.ranks import RankFigures, rank_figures
from training.evaluation.retrieval import cosines

Words = Callable[[Sequence[str]], list[Tensor]]  # of sentences, to their features [T, F]
Direction = Literal["text>clip", "clip>text"]
DIRECTIONS: tuple[Direction, ...] = ("text>clip", "clip>text")
Kind = Literal["vectors", "mean first", "index"]
KINDS: tuple[Kind, ...] = ("vectors", "mean first", "index")


class CaptionRetrieval:
    """One set of captioned clips, encoded by one checkpoint."""

    def __init__(self, model: SRCID, clips: CaptionedClips, words: Words) -> None:
        self.model = model
        captions = [clips.captions(index) for index in range(len(clips))]
        if not all(captions):
            raise DataError(f"{clips.name}: clip {captions.index(())} has no caption")
        features = (clips.features(index) for index in range(len(clips)))
        sentences = words([caption for own in captions for caption in own])
        self.clips = list(encode_features(model, clips.modality, features))
        self.captions = list(encode_features(model, Modality.TEXT, sentences))
        self.relevant = np.array(  # [captions, clips]; one sentence may describe several clips
            [[caption in theirs for theirs in captions] for own in captions for caption in own]
        )

    def figures(self, layers: Sequence[int], kind: Kind) -> dict[Direction, RankFigures]:
        """Return the ranks in both directions, from the codes of ``layers``."""
        captions, clips = (
            item_vectors(self.model, own, layers, kind) for own in (self.captions, self.clips)
        )
        scores = cosines(captions, clips)  # [captions, clips]
        return {
            "text>clip": rank_figures(scores, self.relevant),
            "clip>text": rank_figures(scores.T, self.relevant.T),
        }


def item_vectors(
    model: SRCID, items: Sequence[Encoded], layers: Sequence[int], kind: Kind
) -> NDArray[np.float32]:
    """Return a vector ``[N, ...]`` for each item."""
    if kind == "index":
        return _histograms(model, items, layers)
    if kind == "mean first":
        return _quantized_means(model, items, layers)
    table, rows = decode(model, torch.cat([own.codes for own in items], 1), layers)
    steps = table[rows].split([own.codes.shape[1] for own in items])
    return torch.stack([own.mean(0) for own in steps]).numpy()


@torch.no_grad()
def _quantized_means(
    model: SRCID, items: Sequence[Encoded], layers: Sequence[int]
) -> NDArray[np.float32]:
    means = torch.stack([own.general.mean(1) for own in items], 1)  # [K, N, D]
    device = next(model.parameters()).device
    parts = [model.stages[layer].quantizer(means[layer][None].to(device)).z[0] for layer in layers]
    return torch.cat(parts, -1).cpu().numpy()


def _histograms(
    model: SRCID, items: Sequence[Encoded], layers: Sequence[int]
) -> NDArray[np.float32]:
    """Return how often each code occurs, ``[N, rows * L]``; a row's codes are its own."""
    quantizers = [stage.quantizer for stage in model.stages]
    rows = [
        (depth, own.codebook_size)
        for depth, own in enumerate(quantizers)
        for _ in range(own.num_codebooks)
    ]
    parts = [
        torch.stack([torch.bincount(own.codes[row], minlength=size) for own in items])
        for row, (depth, size) in enumerate(rows)
        if depth in layers
    ]
    return torch.cat(parts, 1).float().numpy()
