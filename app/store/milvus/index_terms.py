"""Index terms: whole numbers by which Milvus finds an item's streams, codes and steps.

A term has eight bits each for its kind, its modality and its row or selection of layers, and 40
for its value. In the term for all codes of a stream, a digest of 56 bits follows the kind.
"""

import hashlib
from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from app.store.base import ANY_CODE, PLACES, Stream
from app.store.index.blocks import Layers
from app.store.milvus.vectors import SparseSpace, selections
from model.encoder import Vocabulary
from model.modality import Modality

MOST_SYMBOLS = 2**18  # different steps of a selection of layers, to have terms of their own


class TermKind(IntEnum):
    """What a term says about an item."""

    STREAM = 1  # it has a stream of that modality
    CODE = 2  # a code occurs in a row of that stream
    STEP = 3  # codes occur together at one step, in the rows of a selection of layers
    SAME = 4  # the digest of all codes of that stream


class IndexTerms:
    """The index terms of a vocabulary's codes.

    Args:
        vocabulary: The vectors of the codes.
        space: Knows which rows a selection of layers compares.
    """

    def __init__(self, vocabulary: Vocabulary, space: SparseSpace) -> None:
        self._selections = {
            layers: (place, space.comparison(layers))
            for place, layers in enumerate(selections(vocabulary))
            if space.comparison(layers).num_symbols <= MOST_SYMBOLS
        }

    def item(self, streams: Mapping[Modality, Stream]) -> list[int]:
        """Return all terms of an item."""
        terms: set[int] = set()
        for modality, stream in streams.items():
            terms |= {self.stream(modality), self.same(modality, stream.codes)}
            for row, codes in enumerate(stream.codes):
                terms |= {self.code(modality, row, code) for code in codes.tolist()}
            for layers, (_, comparison) in self._selections.items():
                symbols = comparison.symbols(stream.codes[None].astype(np.uint16))
                terms.update(self.steps(modality, layers, symbols[0]))
        return sorted(terms)

    def stream(self, modality: Modality) -> int:
        """Return the term of a stream."""
        return _term(TermKind.STREAM, modality)

    def code(self, modality: Modality, row: int, code: int) -> int:
        """Return the term of a code in a row."""
        return _term(TermKind.CODE, modality, row, code)

    def steps(self, modality: Modality, layers: Layers, symbols: NDArray[np.integer]) -> list[int]:
        """Return the terms of some steps, by their symbols (``Comparison.symbols``)."""
        place, comparison = self._selections[layers]
        if len(comparison.rows) == 1:  # such a step is a code
            (row,) = comparison.rows.tolist()
            return [self.code(modality, row, code) for code in symbols.tolist()]
        return [_term(TermKind.STEP, modality, place, symbol) for symbol in symbols.tolist()]

    def has_steps(self, layers: Layers) -> bool:
        """Return whether steps have terms: not if there are too many different ones."""
        return layers in self._selections

    def same(self, modality: Modality, codes: NDArray[np.int16]) -> int:
        """Return the term of all codes of a stream."""
        key = f"{modality} {len(codes)}".encode()
        digest = hashlib.blake2b(codes.astype("<i2").tobytes(), digest_size=7, key=key).digest()
        return TermKind.SAME << 56 | int.from_bytes(digest, "big")

    def pattern(self, modality: Modality, pattern: NDArray[np.integer]) -> list[int]:
        """Return the terms of every stream that contains ``pattern`` ``[C, n]``."""
        places = np.argwhere(pattern != ANY_CODE).tolist()
        terms = [self.code(modality, row, int(pattern[row, step])) for row, step in places]
        for layers, (_, comparison) in self._selections.items():
            is_whole = (pattern[comparison.rows] != ANY_CODE).all(0)  # every compared row is named
            if is_whole.any():
                symbols = comparison.symbols(pattern[None, :, is_whole].astype(np.uint16))
                terms += self.steps(modality, layers, symbols[0])
        return terms


def _term(kind: TermKind, modality: Modality, place: int = 0, value: int = 0) -> int:
    return kind << 56 | PLACES[modality] << 48 | place << 40 | value
