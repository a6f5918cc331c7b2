"""A store on Milvus, which any number of processes may use at the same time."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import ItemExists
from app.schemas.filters import Where
from app.store.base import (
    PLACES,
    CodeCard,
    Duplicate,
    Hit,
    Item,
    Occurrence,
    Score,
    Store,
)
from app.store.checks import check_code, check_pattern, check_streams
from app.store.hits import HitMaker, compared_width
from app.store.index.kinds import warm_up
from app.store.milvus.collection import Address, Collection
from app.store.milvus.explorer import Explorer
from app.store.milvus.index_terms import Marks
from app.store.milvus.rows import item_of, key_of, row_of
from app.store.milvus.search import Scored, Seeker
from app.store.milvus.vectors import SparseSpace
from model.encoder import Vocabulary
from model.modality import Modality


class MilvusStore(Store):
    """Items in one collection of Milvus, a row an item. Scores and order are ``LocalStore``'s.

    ``get``, ``page``, ``duplicates`` and the length see what any process has written; a search
    sees at once what its own has, and what others have a moment later. Of two processes that add
    the same new id at the same time, the later one's item stays and neither is refused.

    Some answers would take going through too many rows: they raise ``StoreLimit``.

    Args:
        address: Where the collection is; it is made where it is missing, unless ``read_only``.
        vocabulary: What the codes stand for.
        fingerprint: The checkpoint that ``vocabulary`` is of.
        read_only: Only search.

    Raises:
        ConfigError: ``pymilvus`` is not installed.
        IndexMismatch: The items were encoded with another checkpoint.
        StoreUnavailable: Milvus does not answer, or there is no collection to read.
    """

    def __init__(
        self,
        address: Address,
        vocabulary: Vocabulary,
        *,
        fingerprint: str,
        read_only: bool = False,
    ) -> None:
        self._vocabulary = vocabulary
        self._space = SparseSpace(vocabulary)
        self._marks = Marks(vocabulary, self._space)
        self._write_lock = threading.Lock()  # from looking whether an id exists to writing it
        self._collection = Collection(address, fingerprint=fingerprint, read_only=read_only)
        self._explorer = Explorer(self._collection, self._marks)
        if not read_only:
            warm_up(vocabulary)

    def add_many(self, items: Sequence[Item], *, replace: bool) -> None:
        """Keep all ``items`` or none, in one request; see ``Store.add_many``.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false.
            StoreUnavailable: Milvus does not take them.
            TooLarge: Milvus does not take an item of that size.
        """
        check_streams(self._vocabulary, items)
        by_id: dict[str, Item] = {}
        for item in items:
            if item.id in by_id and not replace:
                raise ItemExists(item.id)
            by_id[item.id] = item
        rows = [row_of(item, space=self._space, marks=self._marks) for item in by_id.values()]
        with self._write_lock:
            if not replace:
                for item_id in by_id:
                    if self._collection.get(key_of(item_id)):
                        raise ItemExists(item_id)
            if rows:
                self._collection.upsert(rows)

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""
        row = self._collection.get(key_of(item_id))
        return item_of(row) if row else None

    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        return [item_of(row) for row in self._collection.page(key_of(after), limit=limit)]

    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""
        key = key_of(item_id)
        with self._write_lock:
            existed = self._collection.get(key) is not None
            if existed:
                self._collection.delete(key)
        return existed

    def search(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        targets: Sequence[Modality],
        k: int,
        score: Score = "mean",
        window: int = 3,
        where: Where | None = None,
        threshold: float | None = None,
        curves: bool = False,
    ) -> list[Hit]:
        """Return the nearest streams; see ``Store.search``.

        Raises:
            StoreLimit: It would take going through too many items.
        """
        width = compared_width(score, window)
        least = -1.0 if threshold is None else threshold
        best: dict[tuple[str, Modality], tuple[Scored, int]] = {}
        for modality in dict.fromkeys(targets):
            for number, query in enumerate(queries):
                seeker = self._seeker(modality, tuple(layers), query, width=width, where=where)
                for own in seeker.nearest(k, least=least):
                    key = own.item.id, modality
                    if own.score >= least and (key not in best or best[key][0].score < own.score):
                        best[key] = own, number
        order = sorted(best, key=lambda key: (-best[key][0].score, key[0], PLACES[key[1]]))
        make = HitMaker(self._vocabulary, queries, layers=layers, width=width, curves=curves)
        found = ((*best[key], key[1]) for key in order[:k])
        return [make.hit(own.item, modality, own.score, n) for own, n, modality in found]

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes stands; see ``Store.occurrences``.

        Raises:
            InvalidRequest: The pattern has another number of rows, or names no code.
            StoreLimit: Too many items have its codes, but not one after the other.
        """
        check_pattern(self._vocabulary, pattern)
        return self._explorer.occurrences(pattern, targets=targets, k=k)

    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        item = self.get(item_id)
        return self._explorer.duplicates(item) if item else []

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for; see ``Store.card``.

        Raises:
            InvalidRequest: The vocabulary has no such row or code.
            StoreLimit: Too many items have the code.
        """
        check_code(self._vocabulary, row, code)
        layer = (int(self._vocabulary.layers[row]),)
        query = self._vocabulary.tables[row, code]
        seekers = [self._seeker(m, layer, query, width=None, where=None) for m in Modality]
        return self._explorer.card(seekers, row, code, k=k)

    def __len__(self) -> int:
        return self._collection.count()

    def close(self) -> None:
        """End the connection to Milvus."""
        self._collection.close()

    def _seeker(
        self,
        modality: Modality,
        layers: tuple[int, ...],
        query: NDArray[np.float32],
        *,
        width: int | None,
        where: Where | None,
    ) -> Seeker:
        return Seeker(
            self._collection,
            self._space,
            self._marks,
            modality=modality,
            layers=layers,
            query=query,
            width=width,
            where=where,
        )
