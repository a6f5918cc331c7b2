"""What an item has, as whole numbers that Milvus finds it by: its streams, codes and steps.

A mark is eight bits of its kind, of the modality and of the row or selection of layers each, and
40 of what is marked; of the key of a stream's codes, 56 bits follow the kind.
"""

import hashlib
from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from app.store.base import ANY_CODE, Stream
from app.store.index.blocks import Layers
from app.store.index.comparison import Comparison
from app.store.index.postings import MOST_SYMBOLS
from app.store.milvus.vectors import SparseSpace, selections
from model.encoder import Vocabulary
from model.modality import Modality


class Kind(IntEnum):
    """What a mark says of an item."""

    STREAM = 1  # it has a stream of that modality
    CODE = 2  # a code stands in a row of that stream
    STEP = 3  # codes stand together, in the rows of a selection of layers, at one step
    SAME = 4  # the key of all codes of that stream


class Marks:
    """The marks of a vocabulary's codes.

    Args:
        vocabulary: What the codes stand for.
        space: Tells which rows a selection of layers compares.
    """

    def __init__(self, vocabulary: Vocabulary, space: SparseSpace) -> None:
        self._selections = {
            layers: (place, space.comparison(layers))
            for place, layers in enumerate(selections(vocabulary))
            if space.comparison(layers).num_symbols <= MOST_SYMBOLS
        }

    def item(self, streams: Mapping[Modality, Stream]) -> list[int]:
        """Return all marks of an item."""
        found: set[int] = set()
        for modality, stream in streams.items():
            found |= {self.stream(modality), self.same(modality, stream.codes)}
            for row, codes in enumerate(stream.codes):
                found |= {self.code(modality, row, code) for code in codes.tolist()}
            for layers, (_, comparison) in self._selections.items():
                symbols = comparison.symbols(stream.codes[None].astype(np.uint16))
                found.update(self.steps(modality, layers, symbols[0]))
        return sorted(found)

    def stream(self, modality: Modality) -> int:
        """Return the mark of a stream."""
        return _mark(Kind.STREAM, modality)

    def code(self, modality: Modality, row: int, code: int) -> int:
        """Return the mark of a code in a row."""
        return _mark(Kind.CODE, modality, row, code)

    def steps(self, modality: Modality, layers: Layers, symbols: NDArray[np.integer]) -> list[int]:
        """Return the marks of some steps, by their numbers (``Comparison.symbols``)."""
        place, comparison = self._selections[layers]
        if len(comparison.rows) == 1:  # such a step is a code
            (row,) = comparison.rows.tolist()
            return [self.code(modality, row, code) for code in symbols.tolist()]
        return [_mark(Kind.STEP, modality, place, symbol) for symbol in symbols.tolist()]

    def has_steps(self, layers: Layers) -> bool:
        """Tell whether there are so few different steps that each has a mark."""
        return layers in self._selections

    def same(self, modality: Modality, codes: NDArray[np.int16]) -> int:
        """Return the mark of a stream's codes as a whole."""
        place = f"{modality} {len(codes)}".encode()
        digest = hashlib.blake2b(codes.astype("<i2").tobytes(), digest_size=7, key=place).digest()
        return Kind.SAME << 56 | int.from_bytes(digest, "big")

    def pattern(self, modality: Modality, pattern: NDArray[np.integer]) -> list[int]:
        """Return the marks that a stream has wherever ``pattern`` ``[C, n]`` stands in it."""
        named = np.argwhere(pattern != ANY_CODE).tolist()
        marks = [self.code(modality, row, int(pattern[row, step])) for row, step in named]
        for layers, (_, comparison) in self._selections.items():
            whole = _whole(pattern, comparison)
            if whole.shape[1]:
                symbols = comparison.symbols(whole[None].astype(np.uint16))
                marks += self.steps(modality, layers, symbols[0])
        return marks


def _whole(pattern: NDArray[np.integer], comparison: Comparison) -> NDArray[np.integer]:
    """Return the steps of a pattern of which all compared rows are named."""
    return pattern[:, (pattern[comparison.rows] != ANY_CODE).all(0)]


def _mark(kind: Kind, modality: Modality, place: int = 0, value: int = 0) -> int:
    return kind << 56 | list(Modality).index(modality) << 48 | place << 40 | value
