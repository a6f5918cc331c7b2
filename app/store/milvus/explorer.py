"""Patterns, duplicates and code cards: rows are found by their index terms, then read.

Shape letters: C code rows, T steps, n steps of a pattern.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreLimit
from app.store.base import PLACES, CodeCard, Duplicate, Item, Occurrence
from app.store.index.patterns import Counts, companions, count_neighbours, longest_run, matches
from app.store.milvus.collection import Collection
from app.store.milvus.expressions import either, has_all, has_any
from app.store.milvus.index_terms import IndexTerms
from app.store.milvus.rows import item_of
from app.store.milvus.search import MOST_ROWS, Seeker
from model.modality import Modality


class Explorer:
    """Explores the codes of a collection's items.

    Args:
        collection: The rows.
        terms: The index terms of the vocabulary.
    """

    def __init__(self, collection: Collection, terms: IndexTerms) -> None:
        self._collection = collection
        self._terms = terms

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern occurs; see ``Store.occurrences``.

        Raises:
            StoreLimit: Too many items have its codes, but not in sequence.
        """
        modalities = sorted(set(targets), key=PLACES.__getitem__)
        expression = either([has_all(self._terms.pattern(m, pattern)) for m in modalities])
        items = self._items(expression, "have the codes of the pattern: name more of its codes")
        streams = (
            (item, modality, item.streams[modality].codes)
            for item in items
            for modality in modalities
            if modality in item.streams
        )
        occurrences = (
            Occurrence(item, modality, step)
            for item, modality, codes in streams
            for step in np.flatnonzero(matches(codes[None], pattern)[0]).tolist()
        )
        return list(islice(occurrences, k))

    def duplicates(self, item: Item) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        terms = [self._terms.same(m, stream.codes) for m, stream in item.streams.items()]
        duplicates = [
            Duplicate(other.id, modality)
            for other in self._items(has_any(terms), "have the same codes: delete some")
            if other.id != item.id
            for modality, stream in item.streams.items()
            if modality in other.streams
            and np.array_equal(other.streams[modality].codes, stream.codes)
        ]
        return sorted(duplicates, key=lambda same: (same.item_id, PLACES[same.modality]))

    def card(self, seekers: Sequence[Seeker], row: int, code: int, *, k: int) -> CodeCard:
        """Return how one code is used; see ``Store.card``.

        Args:
            seekers: One per modality, whose query is the code's vector in its layer.
            row: The row of the codes.
            code: The code.
            k: Most places in each modality, and most companions.

        Raises:
            StoreLimit: Too many items have it.
        """
        counts: dict[Modality, int] = {}
        best: list[Occurrence] = []
        neighbours: list[Counts] = []
        for seeker in seekers:
            modality = seeker.modality
            expression = has_any([self._terms.code(modality, row, code)])
            items = list(self._items(expression, "have this code: choose a rarer one"))
            if not items:
                continue
            streams = [item.streams[modality].codes for item in items]
            steps = np.concatenate([codes[:, codes[row] == code] for codes in streams], axis=1)
            counts[modality] = steps.shape[1]
            neighbours.append(count_neighbours(steps.T, row))
            first = sorted(seeker.scored(items), key=lambda it: (-it.score, it.item.id))[:k]
            best += [
                Occurrence(item, modality, longest_run(item.streams[modality].codes[row], code))
                for item, _ in first
            ]
        return CodeCard(counts, best, companions(neighbours, k=k))

    def _items(self, expression: str, what: str) -> Iterator[Item]:
        """Yield the items that match ``expression``, by id.

        Raises:
            StoreLimit: They are too many; ``what`` says what they have, and what to do.
        """
        for number, row in enumerate(self._collection.rows(expression)):
            if number == MOST_ROWS:
                raise StoreLimit(
                    f"more than {MOST_ROWS} items, the most that one request reads in Milvus, "
                    f"{what}"
                )
            yield item_of(row)
