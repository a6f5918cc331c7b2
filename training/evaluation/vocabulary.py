"""Whether the modalities speak one language: the codes of clips that are seen, heard and named.

Shape letters: N clips, T steps, L codebook size, Q codes a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from model.modality import Modality
from model.srcid import SRCID
from training.evaluation.codebook import histogram, near_duplicates, perplexity
from training.evaluation.encoding import Encoded, encode_features
from training.evaluation.tasks import PairedClips


@dataclass(frozen=True)
class LayerVocabulary:
    """One layer's codebook on paired clips. Several codebooks (RVQ) count as one, end to end."""

    codes_used: int
    perplexity: float
    near_duplicates: float  # share of used codes
    used_by: dict[int, float]  # share of used codes that so many modalities use, or more
    overlap: dict[str, float]  # by pair: mean overlap of code histograms of one clip, 0 to 1
    overlap_unpaired: dict[str, float]  # the same of one clip and the next: what chance gives


def vocabularies(model: SRCID, clips: PairedClips) -> list[LayerVocabulary]:
    """Return the report of each layer."""
    encoded = {
        m: list(encode_features(model, m, (clip[m] for clip in clips)))
        for m in model.modalities
        if m in clips[0]
    }
    return [_layer(model, encoded, depth) for depth in range(len(model.stages))]


def _layer(
    model: SRCID, encoded: Mapping[Modality, Sequence[Encoded]], depth: int
) -> LayerVocabulary:
    table = model.stages[depth].quantizer.tables().detach().flatten(0, 1).cpu()  # [Q * L, D]
    shares = {
        m: [histogram([codes], len(table)) for codes in _codes(model, own, depth)]
        for m, own in encoded.items()
    }
    everything = np.mean([own for items in shares.values() for own in items], axis=0)
    users = np.sum([np.sum(items, axis=0) > 0 for items in shares.values()], axis=0)  # [Q * L]
    used = everything > 0
    pairs = list(combinations(shares, 2))
    return LayerVocabulary(
        int(used.sum()),
        perplexity(everything),
        near_duplicates(table.numpy(), used),
        {n: float((users >= n).sum() / used.sum()) for n in range(2, len(shares) + 1)},
        {f"{m} ~ {n}": _overlap(shares[m], shares[n]) for m, n in pairs},
        {f"{m} ~ {n}": _overlap(shares[m], [*shares[n][1:], shares[n][0]]) for m, n in pairs},
    )


def _codes(model: SRCID, items: Sequence[Encoded], depth: int) -> list[NDArray[np.int64]]:
    """Return each item's codes of one layer, ``[Q * T]``, stage q's from q * L on."""
    quantizers = [stage.quantizer for stage in model.stages]
    first = sum(own.num_codebooks for own in quantizers[:depth])
    count, size = quantizers[depth].num_codebooks, quantizers[depth].codebook_size
    offsets = size * np.arange(count)[:, None]
    return [(own.codes[first : first + count].numpy() + offsets).ravel() for own in items]


def _overlap(first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]]) -> float:
    overlaps = [np.minimum(own, other).sum() for own, other in zip(first, second, strict=True)]
    return float(np.mean(overlaps))
