"""Vocabularies and streams for the tests of indexes, and the formula to check these by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates
from model.encoder import Vocabulary

Codes = NDArray[np.int16]


def nearest(
    index: CodeIndex,
    query: NDArray[np.float32],
    *,
    layers: Sequence[int],
    k: int,
    width: int | None = None,
    least: float = -1.0,
    allowed: NDArray[np.int64] | None = None,
) -> Candidates:
    """The answer to one query ``[K * D]``."""
    (candidates,) = index.search(
        IndexSearch(query[None], tuple(layers), k, width=width, least=least, allowed=allowed)
    )
    return candidates


def make_vocabulary(
    size: int = 30, *, layers: Sequence[int] = (1, 2), dim: int = 6, seed: int = 0
) -> Vocabulary:
    """Codebooks of one length scale; code 0 stands for nothing, code 1 for nearly nothing."""
    tables = np.random.default_rng(seed).normal(size=(len(layers), size, dim))
    tables[:, 0], tables[:, 1] = 0, tables[:, 1] * 1e-3
    return Vocabulary(tables.astype(np.float32), np.array(layers))


def random_streams(
    vocabulary: Vocabulary, count: int, *, steps: int = 4, codes: int | None = None, seed: int = 0
) -> Codes:
    """``[R, C, T]``; few different ``codes`` make many equal scores."""
    rows, size = vocabulary.tables.shape[:2]
    rng = np.random.default_rng(seed)
    return rng.integers(0, codes or size, (count, rows, steps)).astype(np.int16)


def cosine(
    vocabulary: Vocabulary,
    codes: Codes,
    query: NDArray[np.float32],
    layers: Sequence[int],
    width: int | None,
) -> float:
    """The best cosine of ``width`` steps of ``codes`` ``[C, T]`` in a row, in float64."""
    steps = vocabulary.steps(codes, layers).astype(np.float64)
    length = min(width or len(steps), len(steps))
    totals = [steps[start : start + length].sum(0) for start in range(len(steps) - length + 1)]
    towards = query.astype(np.float64)
    found = []
    for total in totals:
        norms = np.linalg.norm(total) * np.linalg.norm(towards)
        found.append(float(total @ towards / norms) if norms > 0 else 0.0)
    return max(found)


def expected(scores: dict[int, float], k: int, least: float = -1.0) -> dict[int, float]:
    """The ``k`` best keys and all that tie with the last, by rounded score."""
    rounded = {key: round(score, 6) for key, score in scores.items()}
    ranked = sorted(rounded.values(), reverse=True)
    bound = ranked[min(k, len(ranked)) - 1] if ranked else 0.0
    return {key: score for key, score in rounded.items() if score >= max(bound, least)}
