"""Where codes stand: a pattern's places, a code's steps and what stands beside it.

Shape letters: R streams, C code rows, T steps, n steps of a pattern.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.base import ANY_CODE, Companion
from app.store.index.code_index import CodeIndex


@dataclass(frozen=True)
class Places:
    """Where a pattern stands in the streams of one modality, by key, then step."""

    keys: NDArray[np.int64]  # [places] of the streams
    steps: NDArray[np.int64]  # [places] of its first code


class Findings(NamedTuple):
    """What the streams of one modality say about a code."""

    steps: int  # that have it
    beside: Counter[tuple[int, int]]  # (row, code) -> the steps that have both
    keys: NDArray[np.int64]  # [R] the streams that have it and are most like it
    scores: NDArray[np.float64]  # [R] how like it


def places(index: CodeIndex, pattern: NDArray[np.integer]) -> Places:
    """Return where ``pattern`` ``[C, n]`` stands; ``ANY_CODE`` fits all."""
    keys, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in index.blocks.values():
        for own, codes in block.streams():
            streams, first = np.nonzero(fits(codes, pattern))
            keys.append(own[streams])
            steps.append(first)
    return Places(np.concatenate(keys), np.concatenate(steps))


def equals(index: CodeIndex, codes: NDArray[np.integer]) -> list[int]:
    """Return the keys of the streams whose codes are ``codes`` ``[C, T]``, rising."""
    block = index.blocks.get(codes.shape[1])
    if block is None:
        return []
    low, high = block.packing.pack(codes[None].astype(np.uint16))
    found: list[int] = []
    for chunk in block.chunks:
        rows = np.flatnonzero(chunk.alive)
        for own, wanted in [*zip(chunk.low, low, strict=True), *zip(chunk.high, high, strict=True)]:
            rows = rows[own[rows] == wanted[0]]
        found += chunk.keys[rows].tolist()
    return found


def fits(codes: NDArray[np.integer], pattern: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return ``[R, T - n + 1]`` whether ``pattern`` stands in streams ``[R, C, T]`` from a step."""
    starts = max(0, codes.shape[2] - pattern.shape[1] + 1)
    found = np.ones((len(codes), starts), bool)
    for row, step in np.argwhere(pattern != ANY_CODE):
        found &= codes[:, row, step : step + starts] == pattern[row, step]
    return found


def findings(index: CodeIndex, row: int, code: int, *, k: int) -> Findings:
    """Return what the streams say about a code; of those that have it, the ``k`` most like it."""
    steps, with_code = 0, [np.empty(0, np.int64)]
    beside: Counter[tuple[int, int]] = Counter()
    for block in index.blocks.values():
        for keys, codes in block.streams():
            streams, own = np.nonzero(codes[:, row] == code)
            steps += len(streams)
            with_code.append(keys[np.unique(streams)])
            beside += codes_beside(codes[streams, :, own], row)
    keys = np.sort(np.concatenate(with_code))
    query, layer = index.meaning(row, code)
    near = index.search(query, layers=(layer,), k=k, allowed=keys)
    return Findings(steps, beside, near.keys, near.scores)


def codes_beside(steps: NDArray[np.integer], row: int) -> Counter[tuple[int, int]]:
    """Return how often each (row, code) of other rows stands in ``steps`` ``[n, C]``."""
    found: Counter[tuple[int, int]] = Counter()
    for other in range(steps.shape[1]):
        if other != row:
            counts = np.bincount(steps[:, other])
            found |= {(other, its): int(counts[its]) for its in np.flatnonzero(counts).tolist()}
    return found


def companions(beside: Iterable[Counter[tuple[int, int]]], *, k: int) -> list[Companion]:
    """Return the ``k`` codes that stand beside a code most often."""
    total = sum(beside, Counter[tuple[int, int]]())
    common = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
    return [Companion(row, code, count) for (row, code), count in common]


def longest_run(codes: NDArray[np.integer], code: int) -> int:
    """Return where the longest run of ``code`` in ``codes`` ``[T]`` begins."""
    edges = np.diff(np.concatenate([[0], codes == code, [0]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return int(starts[(ends - starts).argmax()])
