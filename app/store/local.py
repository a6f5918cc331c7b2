"""A store in one folder: items in SQLite, search in memory by indexes that follow the items."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.schemas.filters import Where
from app.settings import IndexKind
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
from app.store.filtering import Filtering
from app.store.folder import become_writer, database_path, existing_database
from app.store.hits import HitMaker, compared_width, in_order
from app.store.index.kinds import make_index, warm_up
from app.store.index.patterns import companions, equals, findings, longest_run, places
from app.store.index.snapshots import Snapshots
from app.store.index.sync import FollowingIndexes, Indexes
from app.store.nearest import Nearest, joined
from app.store.sqlite.database import ItemDatabase
from app.store.sqlite.schema import STREAMS_EACH
from app.store.sqlite.views import View
from model.encoder import Vocabulary
from model.modality import Modality

WORTH_SAVING = 1000  # streams that have changed, when the store is closed
FOLLOW_AFTER = 10_000  # items: the search after them is not to wait for all of them


class LocalStore(Store):
    """Items in ``folder``, with an index of the codes of each modality.

    One process writes, any number read beside it; each sees what has been committed.

    Args:
        folder: Made where it is missing, unless ``read_only``.
        vocabulary: What the codes stand for.
        fingerprint: The checkpoint that ``vocabulary`` is of.
        read_only: Only search, beside another process that may write.
        index: How streams are searched.
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
        index: IndexKind = "codes",
        device: str = "cpu",
    ) -> None:
        self._vocabulary = vocabulary
        self._filtering = Filtering()
        self._written = 0  # items since the indexes have followed, roughly
        with ExitStack() as opened:
            if not read_only:
                opened.enter_context(closing(become_writer(folder)))
            path = existing_database(folder) if read_only else database_path(folder)
            self._items = ItemDatabase(path, fingerprint=fingerprint, read_only=read_only)
            opened.enter_context(closing(self._items))
            self._indexes = FollowingIndexes(
                self._items,
                lambda: make_index(index, vocabulary, device=device),
                Snapshots(folder / "snapshots", fingerprint=fingerprint),
            )
            self._indexes.follow()
            if not read_only:
                self._indexes.save_in_time()
                opened.callback(self._indexes.save, least=WORTH_SAVING)
                warm_up(vocabulary)
            self._opened = opened.pop_all()

    def add_many(self, items: Sequence[Item], *, replace: bool) -> None:
        """Keep all ``items`` or none; see ``Store.add_many``."""
        check_streams(self._vocabulary, items)
        self._items.put_all(items, replace=replace)
        self._changed(len(items))

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""
        with self._items.view() as view:
            return view.get(item_id)

    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return items by id; see ``Store.page``."""
        with self._items.view() as view:
            return view.page(after=after, limit=limit)

    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""
        was_there = self._items.delete(item_id)
        self._changed(1)
        return was_there

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
        width = compared_width(score, window)
        with self._indexes.reading() as (view, indexes):
            near = self._nearest(
                view,
                indexes,
                queries,
                layers=layers,
                targets=targets,
                k=k,
                width=width,
                least=-1.0 if threshold is None else threshold,
                where=where,
            )
            stored = view.of_streams(near.keys.tolist())
        make = HitMaker(self._vocabulary, queries, layers=layers, width=width, curves=curves)
        return in_order(
            make.hit(stored[key].item, stored[key].keys[key], value, number)
            for key, value, number in zip(*(column.tolist() for column in near), strict=True)
            if key in stored
        )

    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return where a pattern of codes stands; see ``Store.occurrences``."""
        check_pattern(self._vocabulary, pattern)
        with self._indexes.reading() as (view, indexes):
            found = [places(indexes[m], pattern) for m in dict.fromkeys(targets)]
            keys = np.concatenate([own.keys for own in found])
            steps = np.concatenate([own.steps for own in found])
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
            streams = item.streams if item else {}
            keys = [key for m, own in streams.items() for key in equals(indexes[m], own.codes)]
            stored = view.of_streams(keys)
        found = [
            Duplicate(stored[key].item.id, stored[key].keys[key]) for key in keys if key in stored
        ]
        others = [own for own in found if own.item_id != item_id]
        return sorted(others, key=lambda own: (own.item_id, PLACES[own.modality]))

    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for; see ``Store.card``."""
        check_code(self._vocabulary, row, code)
        with self._indexes.reading() as (view, indexes):
            found = {m: findings(index, row, code, k=k) for m, index in indexes.items()}
            best: list[Occurrence] = []
            for modality, own in found.items():
                near = _best(view, Nearest(own.keys, own.scores, np.zeros_like(own.keys)), k)
                best += _longest(view, near, modality, row, code)
        counts = {modality: own.steps for modality, own in found.items() if own.steps}
        return CodeCard(counts, best, companions((own.beside for own in found.values()), k=k))

    def __len__(self) -> int:
        with self._items.view() as view:
            return view.count()

    def compact(self) -> None:
        """Write the database anew without gaps, and a snapshot of the indexes.

        Raises:
            StoreUnavailable: The disk does not take it; nothing is lost.
        """
        self._indexes.save()
        with self._items.alone() as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the database and let another process write."""
        self._opened.close()

    def _nearest(
        self,
        view: View,
        indexes: Indexes,
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
        passing = STREAMS_EACH * self._filtering.passing(view, where) if where else None
        found = []
        for modality in dict.fromkeys(targets):
            candidates = indexes[modality].search_many(
                queries,
                layers=layers,
                k=k,
                width=width,
                least=least,
                allowed=None if passing is None else passing + PLACES[modality],
            )
            found += [
                Nearest(own.keys, own.scores, np.full(len(own.keys), number))
                for number, own in enumerate(candidates)
            ]
        everything = joined(found)
        order = np.lexsort([everything.queries, -everything.scores])
        _, first = np.unique(everything.keys[order], return_index=True)
        return _best(view, everything.only(order[first]), k)

    def _changed(self, count: int) -> None:
        """Let the indexes follow when much has been written; else the next search lets them."""
        self._written += count
        if self._written >= FOLLOW_AFTER:
            self._written = 0
            self._indexes.follow()
            self._indexes.save_in_time()


def _best(view: View, found: Nearest, k: int) -> Nearest:
    """Return the ``k`` best; of those that tie with the last, the first by id."""
    if len(found.keys) <= k:
        return found
    last = np.partition(found.scores, -k)[-k]
    better, tied = found.scores > last, found.scores == last
    first = view.first(found.keys[tied], limit=k - int(better.sum()))
    return found.only(better | np.isin(found.keys, np.array(first, np.int64)))


def _longest(
    view: View, near: Nearest, modality: Modality, row: int, code: int
) -> list[Occurrence]:
    """Return where a code stands longest in each of some streams, the best first."""
    stored = view.of_streams(near.keys.tolist())
    pairs = zip(near.scores.tolist(), near.keys.tolist(), strict=True)
    own = [(-score, stored[key].item) for score, key in pairs if key in stored]
    return [
        Occurrence(item, modality, longest_run(item.streams[modality].codes[row], code))
        for _, item in sorted(own, key=lambda pair: (pair[0], pair[1].id))
    ]
