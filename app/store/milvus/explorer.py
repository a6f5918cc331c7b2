"""Patterns, duplicates and code cards: rows are found by their marks and then gone through.

Shape letters: C code rows, T steps, n steps of a pattern.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreLimit
from app.store.base import PLACES, CodeCard, Duplicate, Item, Occurrence
from app.store.index.patterns import codes_beside, companions, fits, longest_run
from app.store.milvus.collection import Collection
from app.store.milvus.expressions import either, has_all, has_any
from app.store.milvus.index_terms import Marks
from app.store.milvus.rows import item_of
from app.store.milvus.search import MOST_ROWS, Seeker
from model.modality import Modality


class Explorer:
    """Looks at the codes of a collection's items.

    Args:
        collection: Where.
        marks: The marks of the vocabulary.
    """

    def __init__(self, collection: Collection, marks: Marks) -> None:
        self._collection = collection
        self._marks = marks

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern stands; see ``Store.occurrences``.

        Raises:
            StoreLimit: Too many items have its codes, but not one after the other.
        """
        modalities = sorted(set(targets), key=PLACES.__getitem__)
        expression = either(has_all(self._marks.pattern(m, pattern)) for m in modalities)
        what = "have the codes of the pattern: name more of its codes"
        return list(islice(self._places(expression, pattern, modalities, what), k))

    def duplicates(self, item: Item) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        marks = [self._marks.same(m, own.codes) for m, own in item.streams.items()]
        found = [
            Duplicate(other.id, modality)
            for other in self._items(has_any(marks), "have the same codes: delete some")
            if other.id != item.id
            for modality, own in item.streams.items()
            if modality in other.streams
            and np.array_equal(other.streams[modality].codes, own.codes)
        ]
        return sorted(found, key=lambda own: (own.item_id, PLACES[own.modality]))

    def card(self, seekers: Sequence[Seeker], row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for; see ``Store.card``.

        Args:
            seekers: One for each modality, whose query is the code's vector in its layer.
            row: The row of the codes.
            code: The code.
            k: Most places in each modality, and most companions.

        Raises:
            StoreLimit: Too many items have it.
        """
        counts: dict[Modality, int] = {}
        best: list[Occurrence] = []
        beside: list[Counter[tuple[int, int]]] = []
        for seeker in seekers:
            modality = seeker.modality
            expression = has_any([self._marks.code(modality, row, code)])
            items = list(self._items(expression, "have this code: look for a rarer one"))
            if not items:
                continue
            own = [item.streams[modality].codes for item in items]
            steps = np.concatenate([codes[:, codes[row] == code] for codes in own], axis=1)
            counts[modality] = steps.shape[1]
            beside.append(codes_beside(steps.T, row))
            first = sorted(seeker.scored(items), key=lambda it: (-it.score, it.item.id))[:k]
            best += [
                Occurrence(item, modality, longest_run(item.streams[modality].codes[row], code))
                for item, _ in first
            ]
        return CodeCard(counts, best, companions(beside, k=k))

    def _places(
        self,
        expression: str,
        pattern: NDArray[np.int16],
        modalities: Sequence[Modality],
        what: str,
    ) -> Iterator[Occurrence]:
        for item in self._items(expression, what):
            for modality in modalities:
                if modality in item.streams:
                    found = fits(item.streams[modality].codes[None], pattern)[0]
                    for step in np.flatnonzero(found).tolist():
                        yield Occurrence(item, modality, step)

    def _items(self, expression: str, what: str) -> Iterator[Item]:
        """Yield the items for which ``expression`` holds, by id.

        Raises:
            StoreLimit: They are too many; ``what`` says what they have, and what to do.
        """
        for number, row in enumerate(self._collection.rows(expression)):
            if number == MOST_ROWS:
                raise StoreLimit(
                    f"more than {MOST_ROWS} items, the most that are gone through in Milvus, {what}"
                )
            yield item_of(row)
