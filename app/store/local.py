"""A store in one folder: items in SQLite, and in-memory indexes in sync with them."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreUnavailable
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.settings import IndexKind
from app.store.base import (
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
from app.store.data_folder import become_writer, database_path, existing_database
from app.store.index.code_index import CodeIndex, ListedIndex, warm_up
from app.store.index.patterns import code_usage, companions, find_equal, find_pattern, longest_run
from app.store.index.scan import IndexSearch, scan_means
from app.store.index.snapshots import Snapshots
from app.store.index.sync import Indexes, IndexSync
from app.store.index.torch_scan import TorchScan
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.filter_cache import FilterCache
from app.store.sqlite.schema import STREAMS_EACH
from app.store.sqlite.views import View
from model.encoder import Vocabulary
from model.modality import Modality

logger = logging.getLogger(__name__)

SAVE_AT_CLOSE = 1000  # changed streams that are worth a snapshot when the store closes
# Streams of one modality from which there are inverted lists. Fewer are scanned in 3 ms.
LISTED_FROM: dict[IndexKind, int] = {"auto": 250_000, "ivf": 10_000}
PROBES = 48  # lists that a query reads
SYNC_AFTER = 10_000  # written items: the next search should not wait for all of them


class Nearest(NamedTuple):
    """The streams of an answer, in no order."""

    keys: NDArray[np.int64]  # [R]
    scores: NDArray[np.float64]  # [R]
    queries: NDArray[np.int64]  # [R] the query that each stream is most similar to

    def only(self, rows: NDArray[np.integer | np.bool_]) -> Self:
        """Return some of the streams."""
        return type(self)(self.keys[rows], self.scores[rows], self.queries[rows])


class LocalStore(Store):
    """Items in ``folder``, with an index of the codes of each modality.

    One process writes and any number read beside it; each sees what has been committed.

    Args:
        folder: Created if missing, unless ``read_only``.
        vocabulary: The vectors of the codes.
        fingerprint: The checkpoint of ``vocabulary``.
        read_only: Only search, beside another process that may write.
        index: How streams are searched; see ``make_index``.
        probes: The number of inverted lists that a query reads.
        device: Where codes are scanned: cpu, or a GPU as torch names it.

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
        index: IndexKind = "auto",
        probes: int = PROBES,
        device: str = "cpu",
    ) -> None:
        self._vocabulary = vocabulary
        self._filters = FilterCache()
        self._unsynced = 0  # items written since the last sync, roughly
        with ExitStack() as resources:
            if not read_only:
                resources.enter_context(closing(become_writer(folder)))
            path = existing_database(folder) if read_only else database_path(folder)
            self._items = ItemDatabase(path, fingerprint=fingerprint, read_only=read_only)
            resources.enter_context(closing(self._items))
            self._indexes = IndexSync(
                self._items,
                lambda: make_index(index, vocabulary, probes=probes, device=device),
                Snapshots(folder / "snapshots", fingerprint=fingerprint),
            )
            resources.callback(self._indexes.close)
            self._indexes.sync()
            if not read_only:
                self._indexes.save_if_worthwhile()
                resources.callback(self._indexes.save, least=SAVE_AT_CLOSE)
                warm_up(vocabulary)
            self._resources = resources.pop_all()

    def add_many(self, items: Sequence[Item], *, replace: bool, delete: Sequence[str] = ()) -> None:
        """Store all ``items`` or none; see ``Store.add_many``."""
        check_streams(self._vocabulary, items)
        self._items.put_all(items, replace=replace, delete=delete)
        self._count_changes(len(items) + len(delete))

    def get(self, item_id: str) -> Item | None:
        """Return the item with that id, or None."""
        with self._items.view() as view:
            return view.get(item_id)

    def page(
        self,
        *,
        after: str = "",
        before: str | None = None,
        limit: int,
        where: Where | None = None,
        from_end: bool = False,
    ) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        with self._items.view() as view:
            return view.page(
                after=after, before=before, limit=limit, where=where, from_end=from_end
            )

    def delete(self, item_id: str) -> bool:
        """Delete the item with that id; return whether it existed."""
        existed = self._items.delete(item_id)
        self._count_changes(1)
        return existed

    def search(
        self, queries: NDArray[np.float32], options: SearchOptions, *, layers: Sequence[int]
    ) -> list[Hit]:
        """Return the nearest streams; see ``Store.search``."""
        with self._indexes.reading() as (view, indexes):
            nearest = self._nearest(view, indexes, queries, options, tuple(layers))
            stored = view.of_streams(nearest.keys.tolist())
        maker = HitMaker(self._vocabulary, queries, options, layers)
        hits = [
            maker.hit(stored[key].item, stored[key].keys[key], score, number)
            for key, score, number in zip(*(column.tolist() for column in nearest), strict=True)
            if key in stored
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.item.id, PLACES[hit.modality]))

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes occurs; see ``Store.occurrences``."""
        check_pattern(self._vocabulary, pattern)
        with self._indexes.reading() as (view, indexes):
            matches = [find_pattern(indexes[modality], pattern) for modality in set(targets)]
            keys = np.concatenate([match.keys for match in matches])
            steps = np.concatenate([match.steps for match in matches])
            first = view.first(np.unique(keys), limit=k)
            stored = view.of_streams(first)
        return [
            Occurrence(stored[key].item, stored[key].keys[key], step)
            for key in first
            if key in stored
            for step in sorted(steps[keys == key].tolist())
        ][:k]

    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams with the same codes; see ``Store.duplicates``."""
        with self._indexes.reading() as (view, indexes):
            item = view.get(item_id)
            streams = item.streams.items() if item else ()
            keys = [key for m, stream in streams for key in find_equal(indexes[m], stream.codes)]
            stored = view.of_streams(keys)
        duplicates = [
            Duplicate(stored[key].item.id, stored[key].keys[key])
            for key in keys
            if key in stored and stored[key].item.id != item_id
        ]
        return sorted(duplicates, key=lambda same: (same.item_id, PLACES[same.modality]))

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return how one code is used; see ``Store.card``."""
        check_code(self._vocabulary, row, code)
        with self._indexes.reading() as (view, indexes):
            usages = {m: code_usage(index, row, code, k=k) for m, index in indexes.items()}
            best: list[Occurrence] = []
            for modality, usage in usages.items():
                keys, scores = usage.nearest
                nearest = _best(view, Nearest(keys, scores, np.zeros_like(keys)), k)
                best += _longest_runs(view, nearest, modality, row, code)
        counts = {modality: usage.steps for modality, usage in usages.items() if usage.steps}
        neighbours = (usage.neighbours for usage in usages.values())
        return CodeCard(counts, best, companions(neighbours, k=k))

    def __len__(self) -> int:
        with self._items.view() as view:
            return view.count()

    def compact(self) -> None:
        """Rewrite the database without gaps, and write a snapshot of the indexes.

        Raises:
            StoreUnavailable: The write failed; nothing is lost.
        """
        self._indexes.sync()
        self._indexes.arrange()
        self._indexes.save()
        with self._items.exclusive() as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the database and release the writer lock."""
        self._resources.close()

    def _nearest(
        self,
        view: View,
        indexes: Indexes,
        queries: NDArray[np.float32],
        options: SearchOptions,
        layers: tuple[int, ...],
    ) -> Nearest:
        """Return the ``k`` best streams, each with the query that it is most similar to."""
        where = options.where
        allowed = None if where is None else STREAMS_EACH * self._filters.passing(view, where)
        search = IndexSearch(queries, layers, options.k, options.width, options.least_score)
        columns: list[Nearest] = []
        for modality in set(options.targets or Modality):
            if allowed is not None:
                search = search._replace(allowed=allowed + PLACES[modality])
            for number, (keys, scores) in enumerate(indexes[modality].search(search)):
                columns.append(Nearest(keys, scores, np.full(len(keys), number)))
        streams = Nearest(*map(np.concatenate, zip(*columns, strict=True)))
        order = np.lexsort([streams.queries, -streams.scores])
        _, first = np.unique(streams.keys[order], return_index=True)
        return _best(view, streams.only(order[first]), options.k)

    def _count_changes(self, count: int) -> None:
        """Sync the indexes after many changes; otherwise the next search does it.

        The changes are committed: an error here is not theirs, and the next search meets it.
        """
        self._unsynced += count
        if self._unsynced >= SYNC_AFTER:
            self._unsynced = 0
            try:
                self._indexes.sync()
                self._indexes.save_if_worthwhile()
            except StoreUnavailable as error:
                logger.warning("the indexes could not be synced after a commit: %s", error)


def make_index(
    kind: IndexKind, vocabulary: Vocabulary, *, probes: int = PROBES, device: str = "cpu"
) -> CodeIndex:
    """Return an empty index of the streams of one modality.

    Args:
        kind: ``codes`` compares a query with all streams; ``ivf`` with those in the nearest
            inverted lists, once there are thousands of streams. ``auto`` uses lists where a scan
            takes long: among very many streams, on a CPU.
        vocabulary: The vectors of the codes.
        probes: The number of lists that a query reads.
        device: Where codes are scanned, as torch names it. Lists are read by the CPU.
    """
    scan = scan_means if device == "cpu" else TorchScan(device)
    if kind == "codes" or (kind == "auto" and device != "cpu"):
        return CodeIndex(vocabulary, scan=scan)
    return ListedIndex(vocabulary, listed_from=LISTED_FROM[kind], probes=probes, scan=scan)


def _best(view: View, streams: Nearest, k: int) -> Nearest:
    """Return the ``k`` best; of those that tie with the last, the first by id."""
    if len(streams.keys) <= k:
        return streams
    last = np.partition(streams.scores, -k)[-k]
    better, tied = streams.scores > last, streams.scores == last
    first = view.first(streams.keys[tied], limit=k - int(better.sum()))
    return streams.only(better | np.isin(streams.keys, np.array(first, np.int64)))


def _longest_runs(
    view: View, nearest: Nearest, modality: Modality, row: int, code: int
) -> list[Occurrence]:
    """Return where the longest run of a code begins in each stream, best stream first."""
    stored = view.of_streams(nearest.keys.tolist())
    pairs = zip(nearest.scores.tolist(), nearest.keys.tolist(), strict=True)
    ranked = sorted((-score, stored[key].item.id, key) for score, key in pairs if key in stored)
    items = [stored[key].item for _, _, key in ranked]
    runs = [longest_run(item.streams[modality].codes[row], code) for item in items]
    return [Occurrence(item, modality, step) for item, step in zip(items, runs, strict=True)]
