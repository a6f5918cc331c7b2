"""Search over the codes of one modality's streams, in memory.

A query becomes a table of its dot products with the codebooks. A stream's score is then a sum of
look-ups over the length of its mean. The scan computes it in float32, with lengths rounded up;
streams that may be among the best are then scored from the vectors in float64.
Shape letters: R streams, C code rows, T steps, K compared layers, D hidden dim.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, CodeArray, Doubles, Floats, Layers, Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import lengths
from app.store.index.postings import MOST_SYMBOLS, Postings
from app.store.index.scan import IndexSearch, Scan, SearchState, scan_means, scan_windows, settle
from app.store.index.shortlist import Candidates
from model.encoder import Vocabulary

POSTINGS_FROM = 50_000  # streams of one length: fewer are scanned in less than a millisecond


class CodeIndex:
    """The streams of one modality by an integer key. The caller separates changes from searches.

    Args:
        vocabulary: The vectors of the codes.
        postings_from: The number of streams of one length from which postings are made.
        scan: Scans the means; a ``TorchScan`` does it on a GPU.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        postings_from: int = POSTINGS_FROM,
        scan: Scan = scan_means,
    ) -> None:
        self.blocks: dict[int, Block] = {}  # by T
        self.all_layers: Layers = tuple(sorted(set(vocabulary.layers.tolist())))
        self._vocabulary = vocabulary
        self._postings_from = postings_from
        self._scan = scan
        self._comparisons: dict[Layers, Comparison] = {}
        self._postings: dict[tuple[int, Layers], Postings] = {}  # by T and layers
        self._deriving = threading.Lock()  # held while something is derived from the codes

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
        existed = any(block.remove(key) for block in self.blocks.values())
        for postings in self._postings.values():
            postings.remove(key)
        return existed

    def search(self, search: IndexSearch) -> list[Candidates]:
        """Return each query's ``k`` nearest streams, and all that tie with the last of them.

        Many queries at once take less time than one after another.
        """
        state = SearchState(search, self.comparison(search.layers))
        for block in self.blocks.values():
            with self._deriving:
                block.prepare(search.layers)
            if search.width is None or search.width >= block.packing.steps:
                self._scan(state, block, ())
            else:
                listed: Sequence[int] = ()
                if search.width == 1 and (postings := self._postings_of(block, state)):
                    listed = postings.counts
                    for query in state.queries:
                        query.take(postings.best_steps(query.lut, search))
                scan_windows(state, block, search.width, listed)
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

    def _postings_of(self, block: Block, state: SearchState) -> Postings | None:
        """Return the postings for best steps, made again if outdated; None for few streams."""
        comparison, size = state.comparison, sum(chunk.count for chunk in block.chunks)
        if size < self._postings_from or comparison.num_symbols > MOST_SYMBOLS:
            return None
        place = block.packing.steps, comparison.layers
        with self._deriving:
            postings = self._postings.get(place)
            if not postings or postings.version != block.version or len(postings) < 7 / 8 * size:
                postings = self._postings[place] = Postings(block, comparison)
        return postings


def warm_up(vocabulary: Vocabulary) -> threading.Thread:
    """Compile the loops of a search, or load them from disk, in the background."""

    def search() -> None:
        index = CodeIndex(vocabulary, postings_from=1)
        layers = index.all_layers
        queries = np.ones((2, len(layers) * vocabulary.tables.shape[-1]), np.float32)
        index.add(np.array([1]), np.zeros((1, len(vocabulary.tables), 3), np.int16))
        for width in (None, 1, 2):
            index.search(IndexSearch(queries[:1], layers, k=1, width=width))
        index.search(IndexSearch(queries, layers, k=1))

    thread = threading.Thread(target=search, name="warm-up")
    thread.start()
    return thread
