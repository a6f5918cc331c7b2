"""Streams and queries as sparse vectors whose inner product gives the score of a mean.

A stream's cosine with a query is the sum of its codes' look-ups over the length of its mean. So
it is an inner product: how often each code occurs in the stream, over T and that length, times
the query's table. Milvus allows no negative weights. Therefore the table is shifted by ``s``, and
each stream has one more weight, which makes the sum of its weights the same for all. The product
is then the cosine plus a constant.

Each modality and each selection of layers has separate dimensions, so that one vector holds a
whole item: lengths depend on the compared layers.
Shape letters: C code rows, L codebook size, T steps, Q compared rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.base import PLACES, Stream
from app.store.index.blocks import Doubles, Layers
from app.store.index.comparison import LARGEST_NORM, Comparison
from app.store.index.kernels import lengths
from app.store.index.shortlist import ROUNDING
from model.encoder import Vocabulary
from model.modality import Modality

Weights = dict[int, float]  # by dimension

# A mean may be this much shorter than the longest one. Milvus scores an even shorter one too high,
# never too low; its exact score is computed afterwards.
SHORTEST = 1 / 8
LEAST_SHIFT = 1e-3  # Milvus does not return rows whose product is 0
TERMS = 128  # most float32 roundings in a product: of 126 different codes in a stream


class SparseQuery(NamedTuple):
    """A query in the form of Milvus."""

    weights: Weights
    constant: float  # the product minus the cosine
    error: float  # largest error of a product, with the rounding of scores


class SparseSpace:
    """The dimensions of a vocabulary.

    Args:
        vocabulary: The vectors of the codes.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._rows, self._size = vocabulary.tables.shape[:2]
        self._comparisons = {
            layers: Comparison(vocabulary, layers) for layers in selections(vocabulary)
        }
        self._places = {layers: place for place, layers in enumerate(self._comparisons)}

    def comparison(self, layers: Layers) -> Comparison:
        """Return the comparison of those layers, one or all of them."""
        assert layers in self._comparisons, f"{layers} is neither one layer nor all in order"
        return self._comparisons[layers]

    def item(self, streams: Mapping[Modality, Stream]) -> Weights:
        """Return the vector of all streams of an item."""
        weights: Weights = {}
        for modality, stream in streams.items():
            for layers in self._comparisons:
                weights |= self._stream(modality, layers, stream.codes)
        return weights

    def query(self, modality: Modality, layers: Layers, lut: Doubles) -> SparseQuery:
        """Return the query for the nearest means of one modality.

        Args:
            modality: Of the streams.
            layers: The compared layers.
            lut: ``[Q, L]`` the dot products of the compared codes with the query.
        """
        comparison, base = self.comparison(layers), self._base(modality, layers)
        shift = max(0.0, -float(lut.min())) + LEAST_SHIFT
        weights = {base: shift}
        for row, dots in zip(comparison.rows.tolist(), lut, strict=True):
            shifted = dots + shift
            places = np.flatnonzero(shifted > 0)
            first = base + 1 + row * self._size
            weights |= dict(zip((first + places).tolist(), shifted[places].tolist(), strict=True))
        constant = shift * _total(comparison)
        rounding = TERMS * float(np.finfo(np.float32).eps) / 2
        return SparseQuery(weights, constant, rounding * (1 + constant) + ROUNDING)

    def _stream(self, modality: Modality, layers: Layers, codes: NDArray[np.int16]) -> Weights:
        comparison, base = self._comparisons[layers], self._base(modality, layers)
        stream = codes[None].astype(np.uint16)
        (length,) = lengths(stream, comparison.tables, comparison.parts, len(layers)).tolist()
        if length == 0:  # its cosine with anything is 0
            return {base: _total(comparison)}
        weights: Weights = {}
        for row in comparison.rows.tolist():
            present, counts = np.unique(codes[row], return_counts=True)
            dims = base + 1 + row * self._size + present.astype(np.int64)
            shares = counts / (codes.shape[1] * length)
            weights |= dict(zip(dims.tolist(), shares.tolist(), strict=True))
        rest = _total(comparison) - len(comparison.rows) / length
        return weights | ({base: rest} if rest > 0 else {})

    def _base(self, modality: Modality, layers: Layers) -> int:
        """Return the dimension of the additional weight, before those of the codes."""
        block = PLACES[modality] * len(self._comparisons) + self._places[layers]
        return block * (self._rows * self._size + 1)


def selections(vocabulary: Vocabulary) -> list[Layers]:
    """Return the layers that searches compare: each alone, and all together."""
    every = tuple(sorted(set(vocabulary.layers.tolist())))
    return list(dict.fromkeys([*((layer,) for layer in every), every]))


def _total(comparison: Comparison) -> float:
    """Return the sum of every stream's weights, except for very short means."""
    return len(comparison.rows) / (SHORTEST * LARGEST_NORM * comparison.norm_unit)
