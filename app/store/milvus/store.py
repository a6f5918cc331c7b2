"""A store in Milvus, which any number of processes may use at the same time."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.errors import ItemExists
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.store.base import (
    PAGE,
    PLACES,
    CodeCard,
    Duplicate,
    Hit,
    Item,
    Occurrence,
    Store,
    check_code,
    check_pattern,
    check_streams,
)
from app.store.cosine import HitMaker
from app.store.index.code_index import warm_up
from app.store.milvus.collection import Address, Collection
from app.store.milvus.explorer import Explorer
from app.store.milvus.expressions import both, passes, to_expression
from app.store.milvus.index_terms import IndexTerms
from app.store.milvus.rows import item_of, key_of, row_of
from app.store.milvus.search import Seeker
from app.store.milvus.vectors import SparseSpace
from model.encoder import Vocabulary
from model.modality import Modality


class MilvusStore(Store):
    """Items in one collection of Milvus, one row each. Scores and order equal ``LocalStore``'s.

    ``get``, ``page``, ``duplicates`` and the length see the writes of every process. A search sees
    the writes of its own process at once, and those of others a moment later. If two processes add
    the same new id at the same time, the later item wins and neither call fails.

    Answers that would read too many rows raise ``StoreLimit``.

    Args:
        address: The collection, created if missing, unless ``read_only``.
        vocabulary: The vectors of the codes.
        fingerprint: The checkpoint of ``vocabulary``.
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
        self._terms = IndexTerms(vocabulary, self._space)
        self._write_lock = threading.Lock()  # held from checking whether an id exists to writing it
        self._collection = Collection(address, fingerprint=fingerprint, read_only=read_only)
        self._explorer = Explorer(self._collection, self._terms)
        if not read_only:
            warm_up(vocabulary)

    def add_many(self, items: Sequence[Item], *, replace: bool, delete: Sequence[str] = ()) -> None:
        """Store all ``items`` or none, in one request; see ``Store.add_many``.

        Milvus has no transactions: what is to be deleted is deleted afterwards.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false.
            StoreUnavailable: The write failed.
            TooLarge: An item exceeds Milvus's limits.
        """
        check_streams(self._vocabulary, items)
        by_id: dict[str, Item] = {}
        for item in items:
            if item.id in by_id and not replace:
                raise ItemExists(item.id)
            by_id[item.id] = item
        rows = [row_of(item, space=self._space, terms=self._terms) for item in by_id.values()]
        with self._write_lock:
            if not replace:
                for item_id in by_id:
                    if self._collection.get(key_of(item_id)):
                        raise ItemExists(item_id)
            if rows:
                self._collection.upsert(rows)
            for item_id in delete:
                self._collection.delete(key_of(item_id))

    def get(self, item_id: str) -> Item | None:
        """Return the item with that id, or None."""
        row = self._collection.get(key_of(item_id))
        return item_of(row) if row else None

    def page(
        self,
        *,
        after: str = "",
        before: str | None = None,
        limit: int,
        where: Where | None = None,
        from_end: bool = False,
    ) -> list[Item]:
        """Return items by id; see ``Store.page``.

        Milvus orders only upwards: from the end, it reads all items within the bounds.
        """
        bounds = [f'id > "{key_of(after)}"'] if after else []
        bounds += [] if before is None else [f'id < "{key_of(before)}"']
        rows = self._collection.rows(
            both([*bounds, to_expression(where)]), at_once=PAGE if from_end else limit
        )
        items = (item for item in map(item_of, rows) if not where or passes(where, item.metadata))
        return list(deque(items, limit) if from_end else islice(items, limit))

    def delete(self, item_id: str) -> bool:
        """Delete the item with that id; return whether it existed."""
        key = key_of(item_id)
        with self._write_lock:
            existed = self._collection.get(key) is not None
            if existed:
                self._collection.delete(key)
        return existed

    def search(
        self, queries: NDArray[np.float32], options: SearchOptions, *, layers: Sequence[int]
    ) -> list[Hit]:
        """Return the nearest streams; see ``Store.search``.

        Raises:
            StoreLimit: It would read too many rows.
        """
        least = options.least_score
        best: dict[tuple[str, Modality], tuple[Item, float, int]] = {}
        for modality in set(options.targets or Modality):
            for number, query in enumerate(queries):
                seeker = self._seeker(modality, tuple(layers), query, options)
                for item, score in seeker.nearest(options.k, least=least):
                    key = item.id, modality
                    if score >= least and (key not in best or best[key][1] < score):
                        best[key] = item, score, number
        order = sorted(best, key=lambda key: (-best[key][1], key[0], PLACES[key[1]]))
        maker = HitMaker(self._vocabulary, queries, options, layers)
        return [
            maker.hit(item, modality, score, number)
            for modality, (item, score, number) in (
                (key[1], best[key]) for key in order[: options.k]
            )
        ]

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes occurs; see ``Store.occurrences``.

        Raises:
            InvalidRequest: The pattern has another number of rows, or names no code.
            StoreLimit: Too many items have its codes, but not in sequence.
        """
        check_pattern(self._vocabulary, pattern)
        return self._explorer.occurrences(pattern, targets=targets, k=k)

    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        item = self.get(item_id)
        return self._explorer.duplicates(item) if item else []

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return how one code is used; see ``Store.card``.

        Raises:
            InvalidRequest: The vocabulary has no such row or code.
            StoreLimit: Too many items have the code.
        """
        check_code(self._vocabulary, row, code)
        layers = (int(self._vocabulary.layers[row]),)
        query = self._vocabulary.tables[row, code]
        seekers = [self._seeker(m, layers, query, SearchOptions()) for m in Modality]
        return self._explorer.card(seekers, row, code, k=k)

    def __len__(self) -> int:
        return self._collection.count()

    def close(self) -> None:
        """Close the connection to Milvus."""
        self._collection.close()

    def _seeker(
        self,
        modality: Modality,
        layers: tuple[int, ...],
        query: NDArray[np.float32],
        options: SearchOptions,
    ) -> Seeker:
        return Seeker(
            self._collection,
            self._space,
            self._terms,
            modality=modality,
            layers=layers,
            query=query,
            options=options,
        )
