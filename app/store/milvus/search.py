"""The nearest streams of one modality: Milvus proposes rows, exact scores decide.

Proposed rows are scored again in float64, as in the local store, until no other row can come
before the last of the best. So scores and order equal those of the local store.

* By means: a search with the sparse vectors, for more and more rows.
* By the best step: the terms of the most similar steps first, until enough rows have one.
* By windows: all rows that match the filter, or an error if these are too many.

Shape letters: R streams, C code rows, T steps, K compared layers, D hidden dim.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreLimit
from app.schemas.search import SearchOptions
from app.store.base import Item
from app.store.cosine import DECIMALS
from app.store.index.blocks import CodeArray, Doubles, Ints, Layers
from app.store.index.kernels import best_cosines
from app.store.milvus.collection import MOST_HITS, Collection
from app.store.milvus.expressions import both, has_any, passes, to_expression
from app.store.milvus.index_terms import IndexTerms
from app.store.milvus.rows import MilvusRow, item_of
from app.store.milvus.vectors import SparseSpace
from model.modality import Modality

FIRST = 64  # rows of the first request
FEW = 500  # rows that are read one by one rather than found by their terms
MOST_ROWS = 50_000  # that are read for one answer
FIRST_STEPS = 64  # terms of the first request


class Proposal(NamedTuple):
    """Items that may have the nearest streams."""

    items: list[Item]
    # Upper bound on the score of any stream not in ``items``, ignoring later ties; -inf if none.
    bound: float


class ScoredItem(NamedTuple):
    """An item and the score of its stream."""

    item: Item
    score: float  # to DECIMALS


class Seeker:
    """Finds the nearest streams of one modality for one query.

    Args:
        collection: The rows.
        space: The sparse vectors.
        terms: The index terms.
        modality: Of the streams.
        layers: The compared layers.
        query: ``[K * D]`` in the space of the layers.
        options: Their ``width`` and ``where`` apply.
    """

    def __init__(
        self,
        collection: Collection,
        space: SparseSpace,
        terms: IndexTerms,
        *,
        modality: Modality,
        layers: Layers,
        query: NDArray[np.float32],
        options: SearchOptions,
    ) -> None:
        self._collection = collection
        self._space = space
        self._terms = terms
        self.modality = modality
        self._layers = layers
        self._comparison = space.comparison(layers)
        self._towards = self._comparison.towards(query)
        self._lut = self._comparison.lut(self._towards)
        self._width = options.width
        self._where = options.where
        self._passing = to_expression(options.where)
        self._filter = both([self._passing, has_any([terms.stream(modality)])])

    def nearest(self, k: int, *, least: float) -> list[ScoredItem]:
        """Return the ``k`` nearest streams that score ``least``, unordered, and maybe others.

        Raises:
            StoreLimit: Finding them would read too many rows.
        """
        if self._width is not None:
            rows = self._collection.count(self._filter)
            if rows <= FEW or self._width > 1 or not self._terms.has_steps(self._layers):
                return self._all(rows)
        propose = self._by_means if self._width is None else self._by_steps
        count = max(FIRST, 2 * k)
        while True:
            count = min(count, MOST_HITS)
            proposal = propose(count)
            scored = self.scored(proposal.items)
            if proposal.bound < max(least, _last(scored, k)):
                return scored
            if count == MOST_HITS:
                return self._best_of_most(scored, k)
            count *= 4

    def scored(self, items: Iterable[Item]) -> list[ScoredItem]:
        """Return the scores of the items that have the modality and match the filter."""
        by_length: dict[int, list[Item]] = defaultdict(list)
        for item in items:
            if self.modality in item.streams and (
                self._where is None or passes(self._where, item.metadata)
            ):
                by_length[item.streams[self.modality].codes.shape[1]].append(item)
        scored = []
        for steps, group in by_length.items():
            codes = np.stack([item.streams[self.modality].codes for item in group])
            scores = self._exact(codes.astype(np.uint16), min(self._width or steps, steps))
            scored += [ScoredItem(*pair) for pair in zip(group, scores.tolist(), strict=True)]
        return scored

    def _exact(self, codes: CodeArray, width: int) -> Doubles:
        tables, parts = self._comparison.tables, self._comparison.parts
        which = np.zeros(len(codes), np.int64)
        scores = best_cosines(codes, tables, parts, self._towards[None], which, width)
        return scores.round(DECIMALS)

    def _by_means(self, count: int) -> Proposal:
        """Return the items of the ``count`` largest products."""
        query = self._space.query(self.modality, self._layers, self._lut)
        matches = self._collection.search(query.weights, expression=self._passing, limit=count)
        is_all = len(matches) < count
        bound = -np.inf if is_all else matches[-1].product - query.constant + query.error
        return Proposal([item_of(match.row) for match in matches], bound)

    def _by_steps(self, count: int) -> Proposal:
        """Return the items with the steps most similar to the query, ``count`` at least.

        If many items have equally good steps, the first of these by id.
        """
        order, ends, scores = self._steps()
        last = self._enough(order, ends, count)
        before = ends[last - 1] if last else 0
        tied = islice(self._rows(order[before : ends[last]]), count)
        rows = {row["id"]: row for row in chain(self._rows(order[:before]), tied)}
        bound = scores[last + 1] if last + 1 < len(scores) else -np.inf
        return Proposal([item_of(row) for row in rows.values()], float(bound))

    def _steps(self) -> tuple[Ints, Ints, Doubles]:
        """Return all symbols by decreasing score; where each score's ends; the scores."""
        comparison = self._comparison
        cosines = comparison.exact_cosines(np.arange(comparison.num_symbols), self._lut)
        cosines = cosines.round(DECIMALS)
        order = np.argsort(-cosines, kind="stable")
        scores, starts = np.unique(-cosines[order], return_index=True)
        return order, np.append(starts[1:], len(order)), -scores

    def _enough(self, order: Ints, ends: Ints, count: int) -> int:
        """Return the place of a score that ``count`` items reach, but few more, or the first.

        If there are fewer items, it is the last score.
        """

        def reaching(place: int) -> int:
            return self._collection.count(self._with_any(order[: ends[place]]))

        low, high = 0, min(int(np.searchsorted(ends, FIRST_STEPS)), len(ends) - 1)
        items = reaching(high)
        while items < count and high < len(ends) - 1:
            low, high = high + 1, min(4 * high + 1, len(ends) - 1)
            items = reaching(high)
        while low < high and items > 4 * count:
            middle = (low + high) // 2
            if (fewer := reaching(middle)) < count:
                low = middle + 1
            else:
                high, items = middle, fewer
        return high

    def _with_any(self, symbols: Ints) -> str:
        return both(
            [self._filter, has_any(self._terms.steps(self.modality, self._layers, symbols))]
        )

    def _rows(self, symbols: Ints) -> Iterator[MilvusRow]:
        """Yield the rows that have one of the steps, by key."""
        return self._collection.rows(self._with_any(symbols)) if len(symbols) else iter(())

    def _all(self, rows: int) -> list[ScoredItem]:
        """Return all streams that match the filter.

        Raises:
            StoreLimit: These are too many.
        """
        if rows > MOST_ROWS:
            raise StoreLimit(
                f"{rows} items match the filter. For the best step or window of this checkpoint, "
                f"Milvus must read them one by one, at most {MOST_ROWS}: narrow the search "
                "with where, or ask for score=mean"
            )
        return self.scored(item_of(row) for row in self._collection.rows(self._filter))

    def _best_of_most(self, scored: list[ScoredItem], k: int) -> list[ScoredItem]:
        """Return the best of ``MOST_HITS`` rows.

        They are not proven to be the nearest, but any nearer stream scores higher than the last
        by no more than Milvus's rounding.

        Raises:
            StoreLimit: Fewer than ``k`` of them match the filter.
        """
        if len(scored) < k:
            raise StoreLimit(
                f"of the {MOST_HITS} nearest items, the most that Milvus finds at once, "
                f"{len(scored)} match the filter, a part of which Milvus cannot express: leave out "
                "not, and texts with quotation marks and backslashes"
            )
        return scored


def _last(scored: Sequence[ScoredItem], k: int) -> float:
    """Return the score of the ``k``-th best; -inf if there are fewer."""
    if len(scored) < k:
        return -np.inf
    return float(np.partition([item.score for item in scored], -k)[-k])
