"""Where codes stand: a pattern's places, a code's steps and what stands beside it.

Shape letters: R streams, C code rows, T steps, n steps of a pattern.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.store.base import ANY_CODE
from app.store.code_index import CodeIndex


@dataclass(frozen=True)
class Places:
    """Where a pattern stands in the streams of one modality, by key, then step."""

    keys: NDArray[np.int64]  # [places] of the streams
    steps: NDArray[np.int64]  # [places] of its first code


@dataclass
class Tally:
    """How often a code stands in the streams of one modality."""

    steps: int = 0
    keys: list[int] = field(default_factory=list)  # the streams that have it, rising in a block
    beside: Counter[tuple[int, int]] = field(default_factory=Counter)  # (row, code) -> steps


def places(index: CodeIndex, pattern: NDArray[np.integer]) -> Places:
    """Return where ``pattern`` ``[C, n]`` stands; ``ANY_CODE`` fits all."""
    length = pattern.shape[1]
    named = np.argwhere(pattern != ANY_CODE)
    keys, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in index.blocks.values():
        starts = block.packing.steps - length + 1
        if starts < 1:
            continue
        for own, codes in block.streams():
            fits = np.ones((len(own), starts), bool)
            for row, step in named:
                fits &= codes[:, row, step : step + starts] == pattern[row, step]
            streams, first = np.nonzero(fits)
            keys.append(own[streams])
            steps.append(first)
    return Places(np.concatenate(keys), np.concatenate(steps))


def tally(index: CodeIndex, row: int, code: int) -> Tally:
    """Return how often ``code`` stands in a row of codes, where, and beside which others."""
    found = Tally()
    for block in index.blocks.values():
        for keys, codes in block.streams():
            streams, steps = np.nonzero(codes[:, row] == code)
            found.steps += len(streams)
            found.keys += keys[np.unique(streams)].tolist()
            for other in range(codes.shape[1]):
                if other != row:
                    counts = np.bincount(codes[streams, other, steps])
                    beside = np.flatnonzero(counts)
                    found.beside.update({(other, int(own)): int(counts[own]) for own in beside})
    return found


def longest_run(codes: NDArray[np.integer], code: int) -> int:
    """Return where the longest run of ``code`` in ``codes`` ``[T]`` begins."""
    edges = np.diff(np.concatenate([[0], codes == code, [0]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return int(starts[(ends - starts).argmax()])
