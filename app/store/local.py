"""A store in one folder: items in SQLite, search in memory, rebuilt from the items at opening."""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreUnavailable
from app.filters import Where
from app.store.base import (
    ANY_CODE,
    CodeCard,
    Companion,
    Duplicate,
    Hit,
    Item,
    Occurrence,
    Score,
    Store,
)
from app.store.items import ItemDatabase
from app.store.likeness import DECIMALS, cosines, windows
from app.store.writer_lock import WriterLock
from model.encoder import Vocabulary
from model.modality import Modality

ORDER = {modality: place for place, modality in enumerate(Modality)}


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
        self._lock = None if read_only else _lock(folder)
        try:
            self._items = ItemDatabase(
                _database(folder, read_only), fingerprint=fingerprint, read_only=read_only
            )
        except BaseException:
            if self._lock:
                self._lock.close()
            raise

    def add(self, item: Item, *, replace: bool) -> None:
        """Keep ``item``; see ``Store.add``."""
        for stream in item.streams.values():
            self._vocabulary.steps(stream.codes, (1,))  # codes outside the vocabulary raise
        with self._write_lock:
            self._items.put(item, replace=replace)

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
        hits = [
            self._scored(item, modality, queries.astype(np.float64), layers, score, window, curves)
            for item in self._all(where)
            for modality in item.streams
            if modality in targets
        ]
        kept = [hit for hit in hits if threshold is None or hit.score >= threshold]
        return sorted(kept, key=lambda hit: (-hit.score, hit.item.id, ORDER[hit.modality]))[:k]

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes stands; see ``Store.occurrences``."""
        found = []
        for item in self._all(None):
            for modality in (m for m in Modality if m in item.streams and m in targets):
                codes = item.streams[modality].codes
                for second in range(codes.shape[1] - pattern.shape[1] + 1):
                    part = codes[:, second : second + pattern.shape[1]]
                    if ((pattern == ANY_CODE) | (part == pattern)).all():
                        found.append(Occurrence(item, modality, second))
        return found[:k]

    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        own = self.get(item_id)
        return [
            Duplicate(item.id, modality)
            for item in self._all(None)
            for modality in Modality
            if own and item.id != item_id and modality in own.streams and modality in item.streams
            if np.array_equal(own.streams[modality].codes, item.streams[modality].codes)
        ]

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for; see ``Store.card``."""
        layer = int(self._vocabulary.layers[row])
        query = self._vocabulary.tables[row, code][None]
        counts: dict[Modality, int] = {}
        companions: Counter[tuple[int, int]] = Counter()
        best = []
        for modality in Modality:
            hits = self.search(query, layers=(layer,), targets=[modality], k=len(self))
            with_code = [hit for hit in hits if code in hit.item.streams[modality].codes[row]]
            for hit in with_code:
                codes = hit.item.streams[modality].codes
                at = codes[:, codes[row] == code]
                counts[modality] = counts.get(modality, 0) + at.shape[1]
                companions.update(
                    (r, c) for r in range(len(at)) if r != row for c in at[r].tolist()
                )
            best += [
                Occurrence(
                    h.item, modality, h.item.streams[modality].codes[row].tolist().index(code)
                )
                for h in with_code[:k]
            ]
        common = sorted(companions.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        return CodeCard(counts, best, [Companion(r, c, count) for (r, c), count in common])

    def _all(self, where: Where | None) -> list[Item]:
        return [stored.item for stored in self._items.passing(where)]

    def _scored(
        self,
        item: Item,
        modality: Modality,
        queries: NDArray[np.float64],
        layers: Sequence[int],
        score: Score,
        window: int,
        curves: bool,
    ) -> Hit:
        stream = item.streams[modality]
        steps = self._vocabulary.steps(stream.codes, layers).astype(np.float64)
        parts = windows(steps, score=score, window=window)
        scores = np.stack([cosines(parts, query) for query in queries])  # [N, W]
        query, best = np.unravel_index(scores.argmax(), scores.shape)
        curve = cosines(steps, queries[query])
        if score == "mean":
            best = curve.argmax()
        second = None if stream.duration_seconds is None else int(best)
        value = float(scores.max().round(DECIMALS))
        return Hit(item, modality, value, second, curve.astype(np.float32) if curves else None)

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Close the database and let another process write."""
        with self._write_lock:
            self._items.close()
            if self._lock:
                self._lock.close()


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
