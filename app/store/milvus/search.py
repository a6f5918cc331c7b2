"""The nearest streams of one modality: Milvus proposes, the vectors decide.

What Milvus finds is scored anew in float64, as the store on this machine does, until nothing that
it has not found could come before the last of the best. So scores and order are the same as there.

* By means: a search with the sparse vectors, for more and more rows.
* By the best step: the steps in the order of their likeness, as marks, until enough rows have one.
* By windows: all rows that pass the filter, or an error where these are too many.

Shape letters: R streams, C code rows, T steps, K layers that are compared, D hidden dim.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreLimit
from app.schemas.filters import Where
from app.store.base import Item
from app.store.cosine import DECIMALS
from app.store.index.blocks import Layers
from app.store.index.kernels import load_kernels
from app.store.index.lookups import Doubles
from app.store.milvus.collection import MOST_HITS, Collection
from app.store.milvus.expressions import both, compiled, has_any
from app.store.milvus.index_terms import Marks
from app.store.milvus.rows import Row, item_of
from app.store.milvus.vectors import SparseSpace
from app.store.where_plain import passes
from model.modality import Modality

FIRST = 64  # rows that Milvus is asked for at first
FEW = 500  # rows that are gone through rather than asked for by their marks
MOST_ROWS = 50_000  # that are gone through for one answer
FIRST_STEPS = 64  # marks that are asked for at first


class Found(NamedTuple):
    """Items that may have the nearest streams."""

    items: list[Item]
    # The most that any other stream scores, those that tie with these and come later by id left
    # out; -inf where there is no other.
    bound: float


class Scored(NamedTuple):
    """A stream and its score."""

    item: Item
    score: float  # to DECIMALS


class Seeker:
    """Looks for the nearest streams of one modality to one query.

    Args:
        collection: Where.
        space: The sparse vectors.
        marks: The marks.
        modality: Of the streams.
        layers: Which are compared.
        query: ``[K * D]`` in the space of the layers.
        width: How many steps in a row are compared; None: the whole stream.
        where: Which items count.
    """

    def __init__(
        self,
        collection: Collection,
        space: SparseSpace,
        marks: Marks,
        *,
        modality: Modality,
        layers: Layers,
        query: NDArray[np.float32],
        width: int | None,
        where: Where | None,
    ) -> None:
        self._collection = collection
        self._space = space
        self._marks = marks
        self.modality = modality
        self._layers = layers
        self._comparison = space.comparison(layers)
        self._towards = self._comparison.towards(query)
        self._lut = self._comparison.lut(self._towards)
        self._width = width
        self._where = where
        self._passing = compiled(where)
        self._filter = both([self._passing, has_any([marks.stream(modality)])])

    def nearest(self, k: int, *, least: float) -> list[Scored]:
        """Return the ``k`` nearest streams that score ``least``, in no order, and maybe others.

        Raises:
            StoreLimit: It cannot be known which these are.
        """
        if self._width is not None:
            rows = self._collection.count(self._filter)
            if rows <= FEW or not self._is_by_steps:
                return self._of_all(rows)
        find = self._by_means if self._width is None else self._by_steps
        wanted = max(FIRST, 2 * k)
        while True:
            wanted = min(wanted, MOST_HITS)
            found = find(wanted)
            scored = self.scored(found.items)
            if found.bound < max(least, _last(scored, k)):
                return scored
            if wanted == MOST_HITS:
                return self._as_far_as_known(scored, k)
            wanted *= 4

    def scored(self, items: Iterable[Item]) -> list[Scored]:
        """Return the scores of the items that have a stream of the modality and pass the filter."""
        by_length: dict[int, list[Item]] = defaultdict(list)
        for item in items:
            if self.modality in item.streams and (
                self._where is None or passes(self._where, item.metadata)
            ):
                by_length[item.streams[self.modality].codes.shape[1]].append(item)
        found = []
        for steps, own in by_length.items():
            codes = np.stack([item.streams[self.modality].codes for item in own])
            scores = self._exact(codes.astype(np.uint16), min(self._width or steps, steps))
            found += [Scored(*pair) for pair in zip(own, scores.tolist(), strict=True)]
        return found

    @property
    def _is_by_steps(self) -> bool:
        return self._width == 1 and self._marks.has_steps(self._layers)

    def _exact(self, codes: NDArray[np.uint16], width: int) -> Doubles:
        comparison, which = self._comparison, np.zeros(len(codes), np.int64)
        scores = load_kernels().exact(
            codes, comparison.tables, comparison.parts, self._towards[None], which, width
        )
        return scores.round(DECIMALS)

    def _by_means(self, wanted: int) -> Found:
        """Return the items of the ``wanted`` largest products."""
        query = self._space.query(self.modality, self._layers, self._lut)
        matches = self._collection.search(query.weights, expression=self._passing, limit=wanted)
        is_all = len(matches) < wanted
        bound = -np.inf if is_all else matches[-1].product - query.constant + query.error
        return Found([item_of(match.row) for match in matches], bound)

    def _by_steps(self, wanted: int) -> Found:
        """Return the items with the steps that are most like the query, ``wanted`` at least.

        Of those with equally good steps, where these are many, the first by id.
        """
        order, ends, scores = self._steps()
        last = self._enough(order, ends, wanted)
        before = ends[last - 1] if last else 0
        tied = islice(self._rows(order[before : ends[last]]), wanted)
        rows = {row["id"]: row for row in chain(self._rows(order[:before]), tied)}
        bound = scores[last + 1] if last + 1 < len(scores) else -np.inf
        return Found([item_of(row) for row in rows.values()], float(bound))

    def _steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Doubles]:
        """Return all steps, the likest first; where each likeness ends; the likenesses."""
        comparison = self._comparison
        cosines = comparison.exact_cosines(np.arange(comparison.num_symbols), self._lut)
        cosines = cosines.round(DECIMALS)
        order = np.argsort(-cosines, kind="stable")
        scores, starts = np.unique(-cosines[order], return_index=True)
        return order, np.append(starts[1:], len(order)), -scores

    def _enough(self, order: NDArray[np.int64], ends: NDArray[np.int64], wanted: int) -> int:
        """Return a likeness by which ``wanted`` items have a step as good: few more, or the first.

        Where there are not so many items, it is the last of all.
        """
        low, high = 0, min(int(np.searchsorted(ends, FIRST_STEPS)), len(ends) - 1)
        found = self._collection.count(self._with_any(order[: ends[high]]))
        while found < wanted and high < len(ends) - 1:
            low, high = high + 1, min(4 * high + 1, len(ends) - 1)
            found = self._collection.count(self._with_any(order[: ends[high]]))
        while low < high and found > 4 * wanted:
            middle = (low + high) // 2
            own = self._collection.count(self._with_any(order[: ends[middle]]))
            if own < wanted:
                low = middle + 1
            else:
                high, found = middle, own
        return high

    def _with_any(self, symbols: NDArray[np.int64]) -> str:
        marks = self._marks.steps(self.modality, self._layers, symbols)
        return both([self._filter, has_any(marks)])

    def _rows(self, symbols: NDArray[np.int64]) -> Iterator[Row]:
        """Yield the rows that have one of the steps, by key."""
        return self._collection.rows(self._with_any(symbols)) if len(symbols) else iter(())

    def _of_all(self, rows: int) -> list[Scored]:
        """Return all streams that pass the filter.

        Raises:
            StoreLimit: These are too many.
        """
        if rows > MOST_ROWS:
            raise StoreLimit(
                f"{rows} items pass the filter, and for the best step or window of this "
                f"checkpoint Milvus's are gone through one by one, at most {MOST_ROWS}: narrow "
                "the search with where, or ask for score=mean"
            )
        return self.scored(item_of(row) for row in self._collection.rows(self._filter))

    def _as_far_as_known(self, scored: list[Scored], k: int) -> list[Scored]:
        """Return what ``MOST_HITS`` rows tell.

        That these are the nearest is not proven, but what else there is differs from the last by
        no more than Milvus's rounding.

        Raises:
            StoreLimit: Less than ``k`` of them pass the filter.
        """
        if len(scored) < k:
            raise StoreLimit(
                f"of the {MOST_HITS} nearest items, the most that Milvus finds at once, "
                f"{len(scored)} pass the filter: Milvus cannot be asked for a part of it; compare "
                "with texts without quotation marks and backslashes"
            )
        return scored


def _last(scored: Sequence[Scored], k: int) -> float:
    """Return the score of the ``k``-th best; -inf where there are fewer."""
    if len(scored) < k:
        return -np.inf
    return float(np.partition([own.score for own in scored], -k)[-k])
