"""A store in one folder: items in SQLite, search in memory, rebuilt from the items at opening."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest, StoreUnavailable
from app.filters import Where
from app.settings import IndexKind
from app.store.base import (
    ANY_CODE,
    CodeCard,
    Duplicate,
    Hit,
    Item,
    Occurrence,
    Score,
    Store,
)
from app.store.indexes import make_index, warm_up
from app.store.items import ORDER, Change, ItemDatabase, StoredItem
from app.store.likeness import best_second, cosines
from app.store.nearest import Nearest, joined
from app.store.patterns import companions, findings, longest_run, places
from app.store.shared_lock import SharedLock
from app.store.writer_lock import WriterLock
from model.encoder import Vocabulary
from model.modality import Modality

Found = TypeVar("Found")


class LocalStore(Store):
    """Items in ``folder``, with an index of the codes of each modality.

    Args:
        folder: Made where it is missing, unless ``read_only``.
        vocabulary: What the codes stand for.
        fingerprint: The checkpoint that ``vocabulary`` is of.
        read_only: Only search, beside another process that may write; what that process writes
            later is not seen.
        index: How streams are searched.

    Raises:
        IndexMismatch: The items in ``folder`` were encoded with another checkpoint.
        StoreUnavailable: Another process writes to ``folder``, or it cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        vocabulary: Vocabulary,
        *,
        fingerprint: str,
        read_only: bool = False,
        index: IndexKind = "codes",
    ) -> None:
        self._vocabulary = vocabulary
        self._write_lock = threading.RLock()  # held over a commit and the indexes' following it
        self._index_lock = SharedLock()
        self._changes = 0  # odd while items and indexes do not agree
        self._lock = None if read_only else _lock(folder)
        self._indexes = {m: make_index(index, vocabulary) for m in Modality}
        try:
            self._items = ItemDatabase(
                _database(folder, read_only), fingerprint=fingerprint, read_only=read_only
            )
            for batch in self._items.code_batches():
                self._indexes[batch.modality].add(batch.keys, batch.codes)
        except BaseException:
            if self._lock:
                self._lock.close()
            raise
        if not read_only:
            warm_up(vocabulary)

    def add(self, item: Item, *, replace: bool) -> None:
        """Keep ``item``; see ``Store.add``."""
        for stream in item.streams.values():
            self._check(stream.codes)
        with self._write_lock, self._changing():
            change = self._items.put(item, replace=replace)
            self._follow(change, item)

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""
        return self._items.get(item_id)

    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        return [stored.item for stored in self._items.page(after=after, limit=limit)]

    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""
        with self._write_lock, self._changing():
            change = self._items.delete(item_id)
            self._follow(change, None)
        return bool(change.removed)

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
        """Return the nearest streams; see ``Store.search``."""
        width = {"mean": None, "max": 1, "window": window}[score]

        def find() -> tuple[Nearest, dict[int, StoredItem]]:
            near = self._nearest(
                queries,
                layers=layers,
                targets=targets,
                k=k,
                width=width,
                least=-1.0 if threshold is None else threshold,
                where=where,
            )
            return near, self._items.of_streams(near.keys.tolist())

        near, stored = self._unchanged(find)
        hits = []
        for key, value, number in zip(*(column.tolist() for column in near), strict=True):
            if key in stored:
                item, modality = stored[key].item, stored[key].keys[key]
                stream = item.streams[modality]
                steps = self._vocabulary.steps(stream.codes, layers).astype(np.float64)
                query = queries[number].astype(np.float64)
                has_time = stream.duration_seconds is not None
                second = best_second(steps, query, width=width or 1) if has_time else None
                curve = cosines(steps, query).astype(np.float32) if curves else None
                hits.append(Hit(item, modality, value, second, curve, query=number))
        return sorted(hits, key=lambda hit: (-hit.score, hit.item.id, ORDER[hit.modality]))

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes stands; see ``Store.occurrences``."""
        rows = len(self._vocabulary.tables)
        if pattern.shape[0] != rows or (pattern == ANY_CODE).all():
            raise InvalidRequest(
                f"the pattern has {pattern.shape[0]} rows of {pattern.shape[1]} codes: give "
                f"{rows} rows, one a row of the codes, with at least one code that is not "
                f"{ANY_CODE} (any)"
            )

        def find() -> list[Occurrence]:
            with self._index_lock.shared():
                found = [places(self._indexes[m], pattern) for m in dict.fromkeys(targets)]
            keys = np.concatenate([own.keys for own in found])
            steps = np.concatenate([own.steps for own in found])
            first = self._items.first(np.unique(keys), limit=k)
            stored = self._items.of_streams(first)
            return [
                Occurrence(stored[key].item, stored[key].keys[key], step)
                for key in first
                for step in sorted(steps[keys == key].tolist())
                if key in stored
            ][:k]

        return self._unchanged(find)

    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        return self._items.equal(item_id)

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for; see ``Store.card``."""
        rows, size = self._vocabulary.tables.shape[:2]
        if not (0 <= row < rows and 0 <= code < size):
            raise InvalidRequest(
                f"row {row} has no code {code}: there are {rows} rows, from 0, of {size} codes"
            )

        def find() -> CodeCard:
            with self._index_lock.shared():
                found = {m: findings(index, row, code, k=k) for m, index in self._indexes.items()}
            best: list[Occurrence] = []
            for modality, own in found.items():
                near = Nearest(own.keys, own.scores, np.zeros_like(own.keys))
                best += self._places(self._best(near, k), modality, row, code)
            counts = {modality: own.steps for modality, own in found.items() if own.steps}
            return CodeCard(counts, best, companions(found.values(), k=k))

        return self._unchanged(find)

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Close the database and let another process write."""
        with self._write_lock:
            self._items.close()
            if self._lock:
                self._lock.close()

    def _places(self, near: Nearest, modality: Modality, row: int, code: int) -> list[Occurrence]:
        """Return where a code stands longest in each of some streams, the best first."""
        stored = self._items.of_streams(near.keys.tolist())
        scores = dict(zip(near.keys.tolist(), near.scores.tolist(), strict=True))
        own = [(-scores[key], stored[key].item) for key in scores if key in stored]
        return [
            Occurrence(item, modality, longest_run(item.streams[modality].codes[row], code))
            for _, item in sorted(own, key=lambda pair: (pair[0], pair[1].id))
        ]

    def _nearest(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        targets: Sequence[Modality],
        k: int,
        width: int | None,
        least: float,
        where: Where | None,
    ) -> Nearest:
        """Return the ``k`` best streams, each with the query that it is most like."""
        allowed = self._items.passing(where) if where else None
        found = []
        with self._index_lock.shared():
            for modality in dict.fromkeys(targets):
                candidates = self._indexes[modality].search_many(
                    queries,
                    layers=layers,
                    k=k,
                    width=width,
                    least=least,
                    allowed=allowed[modality] if allowed else None,
                )
                found += [
                    Nearest(own.keys, own.scores, np.full(len(own.keys), number))
                    for number, own in enumerate(candidates)
                ]
        everything = joined(found)
        order = np.lexsort([everything.queries, -everything.scores])
        _, first = np.unique(everything.keys[order], return_index=True)
        return self._best(everything.only(order[first]), k)

    def _best(self, found: Nearest, k: int) -> Nearest:
        """Return the ``k`` best; of those that tie with the last, the first by id."""
        if len(found.keys) <= k:
            return found
        last = np.partition(found.scores, -k)[-k]
        better, tied = found.scores > last, found.scores == last
        first = self._items.first(found.keys[tied], limit=k - int(better.sum()))
        chosen = better | np.isin(found.keys, np.array(first, np.int64))
        return found.only(chosen)

    def _follow(self, change: Change, item: Item | None) -> None:
        """Bring the indexes up to date with a committed change."""
        with self._index_lock.exclusive():
            for key, modality in change.removed.items():
                self._indexes[modality].remove(key)
            for key, modality in change.added.items():
                assert item is not None
                codes = item.streams[modality].codes
                self._indexes[modality].add(np.array([key]), codes[None])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    def _unchanged(self, find: Callable[[], Found]) -> Found:
        """Return what ``find`` does while no item changes, so that it sees each item whole."""
        before = self._changes
        found = find()
        if before % 2 == 0 and before == self._changes:
            return found
        with self._write_lock:
            return find()

    def _check(self, codes: NDArray[np.int16]) -> None:
        rows, size = self._vocabulary.tables.shape[:2]
        if len(codes) != rows or codes.min() < 0 or codes.max() >= size:
            raise IndexError(f"codes of {rows} rows below {size} are kept, not {codes}")


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
