"""Search over the codes of one modality's streams, in memory.

A query is turned into a table of its dot products with the codebooks, so that a stream's score is
a sum of look-ups over the length of its mean. These are scanned in float32, with lengths that are
rounded up; what may be among the best is then scored from the vectors in float64.
Shape letters: R streams, C code rows, T steps, N queries, K layers that are compared, D hidden
dim.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Block, Chunk, Codes, Layers, Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import Kernels
from app.store.index.lookups import Doubles
from app.store.index.postings import MOST_SYMBOLS, Postings, note_likely
from app.store.index.scan import Scan, Search, scan_means, scan_windows, settle
from app.store.index.shortlist import Candidates
from model.encoder import Vocabulary

POSTINGS_FROM = 50_000  # streams of one length: fewer are scanned in less than a millisecond


class CodeIndex:
    """The streams of one modality by an integer key. Its owner keeps changes and searches apart.

    Args:
        vocabulary: What the codes stand for.
        kernels: The inner loops.
        is_approximate: Whether the nearest means may be looked for where they probably are.
        postings_from: How many streams of one length are worth lists by their codes.
        scan: Goes through the means; a ``TorchScan`` does that on a GPU.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        kernels: Kernels,
        is_approximate: bool = False,
        postings_from: int = POSTINGS_FROM,
        scan: Scan = scan_means,
    ) -> None:
        self.blocks: dict[int, Block] = {}  # by T
        self._vocabulary = vocabulary
        self._kernels = kernels
        self._is_approximate = is_approximate
        self._postings_from = postings_from
        self._scan = scan
        self._comparisons: dict[Layers, Comparison] = {}
        self._postings: dict[tuple[int, Layers], Postings] = {}  # by T and layers
        self._deriving = threading.Lock()  # held while what follows from the codes is made
        self._all: Layers = tuple(sorted(set(vocabulary.layers.tolist())))

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the packed streams, room and lengths included, keys left out."""
        return sum(chunk.nbytes for block in self.blocks.values() for chunk in block.chunks)

    def add(self, keys: NDArray[np.int64], codes: NDArray[np.integer]) -> None:
        """Add streams ``[R, C, T]`` under rising keys ``[R]``, above all that there were."""
        rows, steps = codes.shape[1:]
        packing = Packing(rows, steps, self._vocabulary.tables.shape[1])
        self._block(packing).append(keys, np.ascontiguousarray(codes, np.uint16))

    def attach(self, chunk: Chunk) -> None:
        """Add the streams of a chunk that has the lengths of all layers, under keys that rise."""
        assert list(chunk.norms) == [self._all]
        self._block(chunk.packing).chunks.append(chunk)

    def takes(self, codes: NDArray[np.integer]) -> bool:
        """Tell whether ``codes`` ``[R, C, T]`` are of this vocabulary."""
        rows, size = self._vocabulary.tables.shape[:2]
        is_known = codes.size and codes.min() >= 0 and codes.max() < size
        return codes.shape[1] == rows and bool(is_known)

    def remove(self, key: int) -> bool:
        """Remove the stream of that key; return whether there was one."""
        was_there = any(block.remove(key) for block in self.blocks.values())
        for postings in self._postings.values():
            postings.remove(key)
        return was_there

    def search(
        self,
        query: NDArray[np.float32],
        *,
        layers: Sequence[int],
        k: int,
        width: int | None = None,
        least: float = -1.0,
        allowed: NDArray[np.int64] | None = None,
    ) -> Candidates:
        """Return the ``k`` streams nearest to ``query`` ``[K * D]`` and all that tie with the last.

        Args:
            query: In the space of the layers.
            layers: Which are compared.
            k: How many.
            width: How many steps in a row are compared; the whole stream by default.
            least: The least score.
            allowed: The keys of the only streams that count, rising.
        """
        return self.search_many(
            query[None], layers=layers, k=k, width=width, least=least, allowed=allowed
        )[0]

    def search_many(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        k: int,
        width: int | None = None,
        least: float = -1.0,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[Candidates]:
        """Return what ``search`` would for each of ``queries`` ``[N, K * D]``, in less time."""
        comparison = self.comparison(tuple(layers))
        search = Search(queries, comparison, self._kernels, k, width, least, allowed)
        for block in self.blocks.values():
            with self._deriving:
                block.prepare(comparison.layers)
                postings = self._postings_of(block, search)
            known = postings.counts if postings else ()
            if width is not None and width < block.packing.steps:
                if postings:
                    for query in search.queries:
                        query.take(postings.best_steps(query.lut, search))
                scan_windows(search, block, width, known)
            elif postings and note_likely(search, block, postings):
                self._scan(search, block, known)
            else:
                self._scan(search, block, ())
            search.chunks += block.chunks
        return settle(search)

    def meaning(self, row: int, code: int) -> tuple[NDArray[np.float32], int]:
        """Return the vector ``[D]`` that a code stands for, and its layer."""
        return self._vocabulary.tables[row, code], int(self._vocabulary.layers[row])

    def comparison(self, layers: Layers) -> Comparison:
        """Return what follows from the codebooks of those layers."""
        if layers not in self._comparisons:
            self._comparisons[layers] = Comparison(self._vocabulary, layers)
        return self._comparisons[layers]

    def _block(self, packing: Packing) -> Block:
        if packing.steps not in self.blocks:
            self.blocks[packing.steps] = Block(packing, self._measure, [self._all])
        return self.blocks[packing.steps]

    def _measure(self, codes: Codes, layers: Layers) -> Doubles:
        own = self.comparison(layers)
        return self._kernels.lengths(codes, own.tables, own.parts, len(layers)) / own.norm_unit

    def _postings_of(self, block: Block, search: Search) -> Postings | None:
        """Return the lists that this search can use; they are made anew where they are old."""
        comparison, steps = search.comparison, block.packing.steps
        wanted = self._is_approximate and len(search.queries) == 1 and search.allowed is None
        if search.width is not None and search.width < steps:
            wanted = search.width == 1
        size = sum(chunk.count for chunk in block.chunks)
        if not wanted or size < self._postings_from or comparison.num_symbols > MOST_SYMBOLS:
            return None
        known = self._postings.get((steps, comparison.layers))
        if known is None or known.version != block.version or len(known) < 7 / 8 * size:
            known = Postings(block, comparison, kernels=self._kernels)
            self._postings[steps, comparison.layers] = known
        return known
