"""Search over the codes of one modality's streams, in memory.

A query becomes a table of its dot products with the codebooks. A stream's score is then a sum of
look-ups over the length of its mean. The scan computes it in float32, with lengths rounded up;
streams that may be among the best are then scored from the vectors in float64.

With inverted lists, a query reads the lists of the nearest centroids. The streams in them are
scored exactly as in a scan of all. A best step or window, some of the layers, and a filter are
searched by the scan.
Shape letters: R streams, C code rows, T steps, K compared layers, D hidden dim, N inverted lists.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, CodeArray, Doubles, Floats, Ints, Layers, Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import lengths
from app.store.index.lists import SAMPLED, Centroids, Draft, num_lists, trained, unit_means
from app.store.index.scan import (
    IndexSearch,
    Scan,
    SearchState,
    scan_lists,
    scan_means,
    settle,
)
from app.store.index.shortlist import Candidates
from app.store.index.windows import WindowLengths, scan_windows
from model.encoder import Vocabulary


class ReadWriteLock:
    """Held by many readers together, or by one writer alone.

    A waiting writer goes before later readers. A thread must not acquire the lock twice.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers_waiting = 0
        self._is_written = False

    @contextmanager
    def read(self) -> Iterator[None]:
        """Acquire the lock for reading."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_written and not self._writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Acquire the lock for writing: no other thread holds it meanwhile."""
        with self._changed:
            self._writers_waiting += 1
            self._changed.wait_for(lambda: not self._is_written and not self._readers)
            self._writers_waiting -= 1
            self._is_written = True
        try:
            yield
        finally:
            with self._changed:
                self._is_written = False
                self._changed.notify_all()


class CodeIndex:
    """The streams of one modality by an integer key. The caller separates changes from searches.

    Args:
        vocabulary: The vectors of the codes.
        scan: Scans the means; a ``TorchScan`` does it on a GPU.
    """

    def __init__(self, vocabulary: Vocabulary, *, scan: Scan = scan_means) -> None:
        self.blocks: dict[int, Block] = {}  # by T
        self.all_layers: Layers = tuple(sorted(set(vocabulary.layers.tolist())))
        self._vocabulary = vocabulary
        self._scan = scan
        self._comparisons: dict[Layers, Comparison] = {}
        self._window_lengths = WindowLengths()
        self._measuring = threading.Lock()  # held while the means of other layers are measured

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the packed streams, with free rows and lengths, without keys."""
        return sum(chunk.nbytes for block in self.blocks.values() for chunk in block.chunks)

    def add(self, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        """Add streams ``[R, C, T]`` under increasing keys ``[R]``, larger than all before."""
        rows, steps = codes.shape[1:]
        packing = Packing(rows, steps, self._vocabulary.tables.shape[1])
        self._block(packing).append(keys, np.ascontiguousarray(codes, np.uint16))

    def attach(self, chunk: Chunk) -> None:
        """Add a chunk with the lengths of all layers, under larger keys than all before."""
        assert list(chunk.norms) == [self.all_layers]
        self._block(chunk.packing).chunks.append(chunk)

    def takes(self, codes: NDArray[np.integer]) -> bool:
        """Return whether ``codes`` ``[R, C, T]`` belong to this vocabulary."""
        rows, size = self._vocabulary.tables.shape[:2]
        is_valid = codes.size and codes.min() >= 0 and codes.max() < size
        return codes.shape[1] == rows and bool(is_valid)

    def remove(self, key: int) -> bool:
        """Remove the stream with that key; return whether it existed."""
        return any(block.remove(key) for block in self.blocks.values())

    def search(self, search: IndexSearch) -> list[Candidates]:
        """Return each query's ``k`` nearest streams, and all that tie with the last of them.

        Many queries at once take less time than one after another.
        """
        state = SearchState(search, self.comparison(search.layers))
        for block in self.blocks.values():
            with self._measuring:
                block.prepare(search.layers)
            if search.width is None or search.width >= block.packing.steps:
                self._scan(state, block, ())
            else:
                scan_windows(state, block, search.width, self._window_lengths)
            state.chunks += block.chunks
        return settle(state)

    def vector(self, row: int, code: int) -> tuple[Floats, int]:
        """Return the vector ``[D]`` of a code, and its layer."""
        return self._vocabulary.tables[row, code], int(self._vocabulary.layers[row])

    def comparison(self, layers: Layers) -> Comparison:
        """Return the comparison of those layers."""
        if layers not in self._comparisons:
            self._comparisons[layers] = Comparison(self._vocabulary, layers)
        return self._comparisons[layers]

    def _block(self, packing: Packing) -> Block:
        if packing.steps not in self.blocks:
            self.blocks[packing.steps] = Block(packing, self._measure, [self.all_layers])
        return self.blocks[packing.steps]

    def _measure(self, codes: CodeArray, layers: Layers) -> Doubles:
        comparison = self.comparison(layers)
        norms = lengths(codes, comparison.tables, comparison.parts, len(layers))
        return norms / comparison.norm_unit


def warm_up(vocabulary: Vocabulary) -> threading.Thread:
    """Compile the loops of a search, or load them from disk, in the background."""

    def search() -> None:
        index = CodeIndex(vocabulary)
        layers = index.all_layers
        queries = np.ones((2, len(layers) * vocabulary.tables.shape[-1]), np.float32)
        index.add(np.array([1]), np.zeros((1, len(vocabulary.tables), 3), np.int16))
        for width in (None, 1, 2):
            index.search(IndexSearch(queries[:1], layers, k=1, width=width))
        index.search(IndexSearch(queries, layers, k=1))

    thread = threading.Thread(target=search, name="warm-up")
    thread.start()
    return thread


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
            centroids = chunk.listing.centroids
            self._centroids = max([centroids, *known], key=lambda one: one.num_streams)

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
            if any(chunk.listing is None for chunk in block.chunks):
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
