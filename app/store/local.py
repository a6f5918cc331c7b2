"""A store in one folder: items in SQLite, search in memory, rebuilt from the items at opening."""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreUnavailable
from app.store.base import Hit, Item, Store, Stream
from app.store.items import ItemDatabase, StoredItem
from app.store.vector_index import VectorIndex, unit
from app.store.writer_lock import WriterLock
from model.encoder import Vocabulary
from model.modality import Modality

PAGE = 1000  # items read at once while the indexes are built
ORDER = {modality: place for place, modality in enumerate(Modality)}


class _Found(NamedTuple):
    score: float
    query: int  # which of the queries the stream is most like


class LocalStore(Store):
    """Items in ``folder``, with one exact index for each modality and selection of layers.

    Args:
        folder: Made where it is missing, unless ``read_only``.
        vocabulary: What the codes stand for.
        fingerprint: The checkpoint that ``vocabulary`` is of.
        read_only: Only search, beside another process that may write; what that process writes
            later is not seen.

    Raises:
        IndexMismatch: The items in ``folder`` were encoded with another checkpoint.
        StoreUnavailable: Another process writes to ``folder``, or it cannot be opened.
    """

    def __init__(
        self, folder: Path, vocabulary: Vocabulary, *, fingerprint: str, read_only: bool = False
    ) -> None:
        self._vocabulary = vocabulary
        self._write_lock = threading.RLock()  # held over a commit and the indexes' following it
        self._index_lock = threading.Lock()  # held while the indexes are read or changed
        self._labels: dict[int, tuple[str, int]] = {}  # stream key -> what orders equal scores
        self._lock = None if read_only else _lock(folder)
        try:
            self._items = ItemDatabase(
                _database(folder, read_only), fingerprint=fingerprint, read_only=read_only
            )
            self._indexes = self._build()
        except BaseException:
            if self._lock:
                self._lock.close()
            raise

    def add(self, item: Item, *, replace: bool) -> None:
        """Keep ``item``; see ``Store.add``."""
        vectors = {m: self._pooled(stream) for m, stream in item.streams.items()}
        with self._write_lock:
            change = self._items.put(item, replace=replace)
            with self._index_lock:
                self._forget(change.removed)
                for key, modality in change.added.items():
                    self._labels[key] = (item.id, ORDER[modality])
                    for layers, vector in vectors[modality].items():
                        self._indexes[modality, layers].add(np.array([key]), vector[None])

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""
        return self._items.get(item_id)

    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        return [stored.item for stored in self._items.page(after=after, limit=limit)]

    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""
        with self._write_lock:
            change = self._items.delete(item_id)
            with self._index_lock:
                self._forget(change.removed)
        return bool(change.removed)

    def search(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        targets: Sequence[Modality],
        k: int,
    ) -> list[Hit]:
        """Return the nearest streams; see ``Store.search``."""
        found = self._nearest(queries, tuple(layers), targets, k)
        stored = self._items.of_streams(list(found))
        if len(stored) < len(found):  # an item was replaced or deleted in between: look again
            with self._write_lock:
                found = self._nearest(queries, tuple(layers), targets, k)
                stored = self._items.of_streams(list(found))
        return [
            self._hit(stored[key], key, found[key], queries, layers)
            for key in found
            if key in stored
        ]

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Close the database and let another process write."""
        with self._write_lock:
            self._items.close()
            if self._lock:
                self._lock.close()

    def _build(self) -> dict[tuple[Modality, tuple[int, ...]], VectorIndex]:
        """Derive every index from the items."""
        num_layers = int(self._vocabulary.layers.max())
        selections = [
            chosen
            for size in range(1, num_layers + 1)
            for chosen in combinations(range(1, num_layers + 1), size)
        ]
        dim = self._vocabulary.tables.shape[-1]
        indexes = {(m, own): VectorIndex(len(own) * dim) for m in Modality for own in selections}
        self._selections = selections
        after = ""
        while page := self._items.page(after=after, limit=PAGE):
            keys, vectors = defaultdict(list), defaultdict(list)
            for stored in page:
                for key, modality in stored.keys.items():
                    self._labels[key] = (stored.item.id, ORDER[modality])
                    for layers, vector in self._pooled(stored.item.streams[modality]).items():
                        keys[modality, layers].append(key)
                        vectors[modality, layers].append(vector)
            for which, index in indexes.items():
                if keys[which]:
                    index.add(np.array(keys[which]), np.stack(vectors[which]))
            after = page[-1].item.id
        return indexes

    def _pooled(self, stream: Stream) -> Mapping[tuple[int, ...], NDArray[np.float32]]:
        pooled = self._vocabulary.pooled
        return {layers: pooled(stream.codes, layers) for layers in self._selections}

    def _forget(self, removed: Mapping[int, Modality]) -> None:
        for key, modality in removed.items():
            del self._labels[key]
            for layers in self._selections:
                self._indexes[modality, layers].remove(np.array([key]))

    def _nearest(
        self,
        queries: NDArray[np.float32],
        layers: tuple[int, ...],
        targets: Sequence[Modality],
        k: int,
    ) -> dict[int, _Found]:
        """Return the ``k`` best streams by key, in the order of the hits."""
        found: dict[int, _Found] = {}
        with self._index_lock:
            for modality in dict.fromkeys(targets):
                for number, query in enumerate(queries):
                    near = self._indexes[modality, layers].search(query, k=k)
                    for key, score in zip(near.keys.tolist(), near.scores.tolist(), strict=True):
                        if key not in found or score > found[key].score:
                            found[key] = _Found(score, number)
            order = sorted(found, key=lambda key: (-found[key].score, self._labels[key]))
        return {key: found[key] for key in order[:k]}

    def _hit(
        self,
        stored: StoredItem,
        key: int,
        found: _Found,
        queries: NDArray[np.float32],
        layers: Sequence[int],
    ) -> Hit:
        modality = stored.keys[key]
        stream = stored.item.streams[modality]
        best_second = None
        if stream.duration_seconds is not None:
            steps = unit(self._vocabulary.steps(stream.codes, layers))  # [T, K * D]
            best_second = int((steps @ unit(queries[found.query])).argmax())
        return Hit(stored.item, modality, found.score, best_second)


def _database(folder: Path, read_only: bool) -> Path:
    path = folder / "items.sqlite3"
    if read_only and not path.exists():
        raise StoreUnavailable(
            f"{folder} holds no index: index a folder of media first (srcid index), or name "
            "another data directory (SRCID_DATA_DIR, --data-dir)"
        )
    return path


def _lock(folder: Path) -> WriterLock:
    """Make the folder where it is missing, and become its writer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return WriterLock(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{folder} cannot be used as data directory ({error.strerror}): make it writable, or "
            "choose another (SRCID_DATA_DIR, --data-dir)"
        ) from error
