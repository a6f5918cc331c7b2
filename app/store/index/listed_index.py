"""Search through inverted lists of streams, in the order of the lists, with the same packed codes.

A query reads the lists of the nearest centroids. The streams in them are scored exactly as in a
scan of all. A best step or window, some of the layers, and a filter are searched by the scan.
Shape letters: R streams, N inverted lists.
"""

from threading import Event

import numpy as np

from app.store.index.blocks import Block, Chunk, CodeArray, Ints
from app.store.index.centroids import SAMPLED, Centroids, num_lists, trained
from app.store.index.code_index import CodeIndex
from app.store.index.lists import Draft, unit_means
from app.store.index.scan import IndexSearch, Scan, SearchState, scan_lists, scan_means, settle
from app.store.index.shortlist import Candidates
from app.store.read_write_lock import ReadWriteLock
from model.encoder import Vocabulary

OUTGROWN = 4  # times the streams that centroids were trained for
UNLISTED = 1 / 16  # of the streams of one length: when more are in no list, lists are made again
FEW = 1 / 32  # of the least number of streams for lists: so few of one length stay in none


class ListedIndex(CodeIndex):
    """The streams of one modality, in inverted lists once there are many.

    Args:
        vocabulary: The vectors of the codes.
        listed_from: The number of streams from which there are lists.
        probes: The number of lists that a query reads.
        scan: Scans what is in no list; see ``CodeIndex``.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, listed_from: int, probes: int, scan: Scan = scan_means
    ) -> None:
        super().__init__(vocabulary, scan=scan)
        self._listed_from = listed_from
        self._probes = probes
        self._centroids: Centroids | None = None

    def attach(self, chunk: Chunk) -> None:
        """Add a chunk, with its lists if it has any; see ``CodeIndex.attach``."""
        super().attach(chunk)
        if chunk.listing:
            known = [self._centroids] if self._centroids else []
            own = chunk.listing.centroids
            self._centroids = max([own, *known], key=lambda one: one.num_streams)

    def search(self, search: IndexSearch) -> list[Candidates]:
        """Return the nearest streams of each query; see ``CodeIndex.search``."""
        is_of_all = search.width is None and search.allowed is None
        if not is_of_all or search.layers != self.all_layers or len(self) < self._listed_from:
            return super().search(search)
        probes, enough = self._probes, min(search.k, len(self))
        while True:
            state = SearchState(search, self.comparison(search.layers))
            if self._scan_lists(state, probes) >= enough:
                return settle(state)
            probes *= 8

    def _scan_lists(self, state: SearchState, probes: int) -> int:
        """Note the streams of the nearest lists and of none; return the least number of them."""
        towards = np.stack([query.towards for query in state.queries]).astype(np.float32)
        nearest: dict[Centroids, Ints] = {}  # those of one chunk may be older
        count = 0
        for block in self.blocks.values():
            for number, chunk in enumerate(block.chunks):
                if chunk.listing is None:
                    count += chunk.num_alive
                    continue
                centroids = chunk.listing.centroids
                if centroids not in nearest:
                    most = min(probes, len(centroids))
                    nearest[centroids] = centroids.nearest(towards, count=most)
                count += scan_lists(state, block, number, list(nearest[centroids]))
            skip = [chunk.count if chunk.listing else 0 for chunk in block.chunks]
            self._scan(state, block, skip)
            state.chunks += block.chunks
        return count

    def is_due(self) -> bool:
        """Return whether ``arrange`` has something to do."""
        return self._needs_centroids() or any(map(self._is_unlisted, self.blocks.values()))

    def arrange(self, lock: ReadWriteLock, stop: Event) -> None:
        """Train centroids if there are none or too few, and put streams into their lists.

        Searches go on meanwhile, but for the moment in which the new lists replace the old.

        Args:
            lock: Held for reading by searches, and for writing by changes.
            stop: Set to return early.
        """
        comparison = self.comparison(self.all_layers)
        with lock.read():
            size, sample = len(self), self._sample() if self._needs_centroids() else []
        if sample:
            means = np.concatenate([unit_means(codes, comparison) for codes in sample])
            self._centroids = trained(means, num_streams=size, stop=stop) or self._centroids
        while self._centroids and not stop.is_set():
            with lock.read():
                block = next(filter(self._is_unlisted, self.blocks.values()), None)
                if block is None:
                    return
                draft = Draft.of(block)
            listed, rows = draft.listed(self._centroids, comparison)
            with lock.write():
                if block.version == draft.version:  # else streams have moved: try again
                    block.replace(listed, rows, draft.counts)

    def _needs_centroids(self) -> bool:
        fitting = OUTGROWN * self._centroids.num_streams if self._centroids else self._listed_from
        return len(self) >= fitting

    def _is_unlisted(self, block: Block) -> bool:
        """Return whether too many streams of a block are in no list of the centroids."""
        count, unlisted = 0, 0
        for chunk in block.chunks:
            count += chunk.num_alive
            is_listed = chunk.listing and chunk.listing.centroids is self._centroids
            unlisted += 0 if is_listed else chunk.num_alive
        least = max(1, FEW * self._listed_from, UNLISTED * count)
        return self._centroids is not None and unlisted >= least

    def _sample(self) -> list[CodeArray]:
        """Return some streams ``[R, C, T]`` of each length."""
        every = max(1, len(self) // (SAMPLED * num_lists(len(self))))
        blocks = self.blocks.values()
        return [codes for block in blocks for _, codes in block.streams(every=every)]
