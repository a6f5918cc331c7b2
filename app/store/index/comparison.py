"""The compared rows of the codes, and everything derived from their codebooks.

Shape letters: C code rows, L codebook size, D hidden dim, K compared layers, Q compared rows, P
pairs of these in one layer, S columns of a block, M symbols.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.store.cosine import unit
from app.store.index.blocks import CodeArray, Doubles, Floats, Ints, Layers, Packing
from model.encoder import Vocabulary

LARGEST_NORM = 65_000  # of a mean, in stored units: the longest that the vocabulary allows


class Comparison:
    """The rows of some layers. Their codes at one step form a symbol, a number below M."""

    def __init__(self, vocabulary: Vocabulary, layers: Layers) -> None:
        self.layers = layers
        self.tables: Floats = vocabulary.tables  # [C, L, D]
        place = {layer: part for part, layer in enumerate(layers)}
        self.parts: Ints = np.array(  # [C] which of the layers a row belongs to, or -1
            [place.get(layer, -1) for layer in vocabulary.layers.tolist()], np.int64
        )
        self.rows: Ints = np.flatnonzero(self.parts >= 0)  # [Q]

    @cached_property
    def norm_unit(self) -> float:
        """The unit in which lengths of means are stored."""
        longest = np.linalg.norm(self._exact, axis=-1).max(1)  # [Q]
        layers = [longest[self.parts[self.rows] == part].sum() for part in range(len(self.layers))]
        return float(np.linalg.norm(layers)) / LARGEST_NORM or 1.0

    @cached_property
    def pairs(self) -> Ints:
        """``[P, 2]`` the pairs of compared rows in one layer, by their place, in one order."""
        parts = self.parts[self.rows]
        return np.argwhere(np.triu(parts[:, None] == parts))

    @cached_property
    def grams(self) -> Doubles:
        """``[P, L, L]`` the dot products of two rows' codes."""
        return np.stack([self._exact[one] @ self._exact[other].T for one, other in self.pairs])

    def towards(self, query: Floats) -> Doubles:
        """Return ``query`` ``[K * D]`` scaled to length 1; zeros stay zeros."""
        return unit(query.astype(np.float64))

    def lut(self, towards: Doubles) -> Doubles:
        """Return the dot product of each compared code with the query, ``[Q, L]``."""
        query = towards.reshape(len(self.layers), -1)[self.parts[self.rows]]  # [Q, D]
        return np.stack([table @ part for table, part in zip(self._exact, query, strict=True)])

    @property
    def num_symbols(self) -> int:
        """M: the number of different steps, as far as the compared rows distinguish them."""
        return int(self.tables.shape[1] ** len(self.rows))

    def symbols(self, codes: CodeArray) -> NDArray[np.int32]:
        """Return each step of codes ``[R, C, T]`` as one number, ``[R, T]``."""
        symbols = np.zeros((len(codes), codes.shape[2]), np.int32)
        for row in self.rows:
            symbols = symbols * self.tables.shape[1] + codes[:, row]
        return symbols

    def exact_cosines(self, symbols: Ints, lut: Doubles) -> Doubles:
        """Return the cosines of some symbols with the query of ``lut``, in float64."""
        norms = self._norms[symbols]
        dots = sum(row[code] for row, code in zip(lut, self._codes(symbols), strict=True))
        return np.divide(dots, norms, out=np.zeros_like(norms), where=norms > 0)

    def columns(self, packing: Packing) -> Ints:
        """Return ``[S]`` the place of each column's row, Q where it is not compared."""
        places = np.full(packing.columns, len(self.rows), np.int64)
        for place, row in enumerate(self.rows):
            places[row * packing.steps : (row + 1) * packing.steps] = place
        return places

    def _codes(self, symbols: Ints) -> list[Ints]:
        """Return the code of each compared row."""
        size = self.tables.shape[1]
        powers = size ** np.arange(len(self.rows))[::-1]
        return [symbols // power % size for power in powers]

    @cached_property
    def _norms(self) -> Doubles:
        """The length of every symbol's vector, ``[M]``."""
        codes, squares = self._codes(np.arange(self.num_symbols)), np.zeros(self.num_symbols)
        for (one, two), gram in zip(self.pairs, self.grams, strict=True):
            squares += (1 if one == two else 2) * gram[codes[one], codes[two]]
        return np.sqrt(np.maximum(squares, 0))

    @cached_property
    def _exact(self) -> Doubles:
        """The codebooks of the compared rows in float64, ``[Q, L, D]``."""
        return self.tables[self.rows].astype(np.float64)
