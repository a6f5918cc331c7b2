"""Where codes occur: the matches of a pattern, and how one code is used.

Shape letters: R streams, C code rows, T steps, n steps of a pattern.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.base import ANY_CODE, Companion
from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates

Counts = Counter[tuple[int, int]]  # (row, code) -> steps


class PatternMatches(NamedTuple):
    """Where a pattern occurs in the streams of one modality, in no order."""

    keys: NDArray[np.int64]  # [matches] of the streams
    steps: NDArray[np.int64]  # [matches] of the pattern's first code


class CodeUsage(NamedTuple):
    """How the streams of one modality use a code."""

    steps: int  # with the code
    neighbours: Counts  # the codes of other rows at these steps
    nearest: Candidates  # the streams with the code that are most similar to it


def find_pattern(index: CodeIndex, pattern: NDArray[np.integer]) -> PatternMatches:
    """Return where ``pattern`` ``[C, n]`` occurs; ``ANY_CODE`` matches every code."""
    keys, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in index.blocks.values():
        for block_keys, codes in block.streams():
            streams, first = np.nonzero(matches(codes, pattern))
            keys.append(block_keys[streams])
            steps.append(first)
    return PatternMatches(np.concatenate(keys), np.concatenate(steps))


def find_equal(index: CodeIndex, codes: NDArray[np.integer]) -> list[int]:
    """Return the increasing keys of the streams with exactly these codes ``[C, T]``."""
    block = index.blocks.get(codes.shape[1])
    if block is None:
        return []
    low, high = block.packing.pack(codes[None].astype(np.uint16))
    keys: list[int] = []
    for chunk in block.chunks:
        rows = np.flatnonzero(chunk.alive)
        for columns, values in ((chunk.low, low), (chunk.high, high)):
            for column, (value,) in zip(columns, values, strict=True):
                rows = rows[column[rows] == value]
        keys += chunk.keys[rows].tolist()
    return sorted(keys)


def matches(codes: NDArray[np.integer], pattern: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return ``[R, T - n + 1]`` at which steps of streams ``[R, C, T]`` ``pattern`` matches."""
    starts = max(0, codes.shape[2] - pattern.shape[1] + 1)
    matching = np.ones((len(codes), starts), bool)
    for row, step in np.argwhere(pattern != ANY_CODE):
        matching &= codes[:, row, step : step + starts] == pattern[row, step]
    return matching


def code_usage(index: CodeIndex, row: int, code: int, *, k: int) -> CodeUsage:
    """Return how the streams use a code, and the ``k`` of them that are most similar to it."""
    num_steps, with_code, neighbours = 0, [np.empty(0, np.int64)], Counts()
    for block in index.blocks.values():
        for keys, codes in block.streams():
            streams, steps = np.nonzero(codes[:, row] == code)
            num_steps += len(streams)
            with_code.append(keys[np.unique(streams)])
            neighbours += count_neighbours(codes[streams, :, steps], row)
    query, layer = index.vector(row, code)
    allowed = np.sort(np.concatenate(with_code))
    (nearest,) = index.search(IndexSearch(query[None], (layer,), k, allowed=allowed))
    return CodeUsage(num_steps, neighbours, nearest)


def count_neighbours(steps: NDArray[np.integer], row: int) -> Counts:
    """Return how often each (row, code) of other rows occurs in ``steps`` ``[n, C]``."""
    neighbours = Counts()
    for other in range(steps.shape[1]):
        if other != row:
            counts = np.bincount(steps[:, other])
            codes = np.flatnonzero(counts).tolist()
            neighbours |= {(other, code): int(counts[code]) for code in codes}
    return neighbours


def companions(neighbours: Iterable[Counts], *, k: int) -> list[Companion]:
    """Return the ``k`` most frequent neighbours of a code."""
    total = sum(neighbours, Counts())
    common = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
    return [Companion(row, code, count) for (row, code), count in common]


def longest_run(codes: NDArray[np.integer], code: int) -> int:
    """Return where the longest run of ``code`` in ``codes`` ``[T]`` begins."""
    edges = np.diff(np.concatenate([[0], codes == code, [0]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return int(starts[(ends - starts).argmax()])
