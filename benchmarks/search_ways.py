"""The ways to search that ``benchmarks.search`` compares: how each is built and asked.

Shape letters: R streams, N queries, D hidden dim.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import faiss
import numpy as np
from numpy.typing import NDArray

from app.store.index.code_index import CodeIndex, ListedIndex, ReadWriteLock
from app.store.index.kernels import best_cosines
from app.store.index.lists import unit_means
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates
from app.store.index.snapshots import Snapshot, Snapshots, snapshot_blocks
from app.store.sqlite.views import Position
from app.transfer.faiss_file import pq_index
from benchmarks.corpora import STEPS, Corpus
from model.modality import Modality

SCAN, BEST_SECOND = "codes: scan", "codes: best second"
PROBES = (16, 48, 256)  # lists
BREADTH = 128  # neighbours that a search of the graph keeps
K = 10
MANY = 128  # queries at once
RERANKED = 200  # candidates of FAISS that are scored by their codes
TRAINED_ON = 100_000  # vectors
INNER = faiss.METRIC_INNER_PRODUCT
GRAPH_UP_TO = 100_000  # streams; beyond, a graph takes many minutes to build

Vectors = NDArray[np.float32]
Keys = NDArray[np.integer]


@dataclass
class Way:
    """One way to search."""

    name: str
    memory_each: float  # bytes a stream
    disk_each: float  # bytes a stream, as a file
    rate: float  # streams a second that it is built at, from codes or vectors in memory
    find: Callable[[int], Keys]  # a query's number -> keys, any order
    find_many: Callable[[], object] | None = None  # the first MANY
    every: int = 1  # turns: a slow way is asked in some of them
    milliseconds: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)


class Stopwatch:
    """Processor time of what was done in its context."""

    seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure."""
        start = time.process_time()
        yield
        self.seconds = time.process_time() - start


def code_ways(corpus: Corpus, asked: Vectors) -> list[Way]:
    """Return the searches over codes."""
    exact = CodeIndex(corpus.vocabulary)
    listed = ListedIndex(corpus.vocabulary, listed_from=1, probes=PROBES[0])
    count = len(corpus.codes)
    keys, built, added = np.arange(1, count + 1), Stopwatch(), Stopwatch()
    exact.add(keys[:1], corpus.codes[:1])  # compiles
    exact.remove(1)
    with built.running():
        exact.add(keys, corpus.codes)
    for part in (slice(count // 10, None), slice(count // 10)):
        codes = corpus.codes[part]
        with added.running():  # the last time into centroids that are there
            listed.add(np.arange(len(codes)) + 1 + len(listed), codes)
            listed.arrange(ReadWriteLock(), Event())
    numbers = [*range(count // 10 + 1, count + 1), *range(1, count // 10 + 1)]
    of_listed = np.array(numbers)  # [R] keys in the corpus

    def search(queries: Vectors, width: int | None) -> IndexSearch:
        return IndexSearch(queries, corpus.layers, K, width)

    def one(width: int | None = None) -> Callable[[int], Keys]:
        return lambda n: (
            exact.search(IndexSearch(asked[n : n + 1], corpus.layers, K, width))[0].keys
        )

    def many(width: int | None = None) -> Callable[[], object]:
        return lambda: exact.search(search(asked[:MANY], width))

    def near(probes: int, queries: Vectors) -> list[Candidates]:
        listed._probes = probes
        return listed.search(IndexSearch(queries, corpus.layers, K))

    one(1)(0)  # measures lengths
    scanned, disk = exact.nbytes / count, _bytes_of_snapshot(exact) / count
    beside = scanned + 2 * STEPS
    rate = count / built.seconds
    ways = [Way(SCAN, scanned, disk, rate, one(), many())]
    (chunk,) = listed.blocks[STEPS].chunks
    assert chunk.listing
    extra = (
        sum(array.nbytes for array in chunk.listing[1:]) + chunk.listing.centroids.vectors.nbytes
    )
    for probes in PROBES:
        way = Way(
            f"codes: {len(chunk.listing.centroids)} lists, {probes} probes",
            scanned + extra / count,
            _bytes_of_snapshot(listed) / count,
            (count // 10) / added.seconds,
            lambda n, probes=probes: of_listed[near(probes, asked[n : n + 1])[0].keys - 1],
            lambda probes=probes: near(probes, asked[:MANY]),
        )
        ways.append(way)
    ways.append(Way(BEST_SECOND, beside, disk, rate, one(1), many(1)))
    ways.append(Way("codes: best three seconds", beside, disk, rate, one(3)))
    return ways


def pq_way(corpus: Corpus, asked: Vectors) -> Way:
    """Return FAISS on the codes."""
    built = Stopwatch()
    with built.running():
        index = pq_index(corpus.vocabulary, list(corpus.codes.astype(np.int16)))
    rows, _, dim = corpus.vocabulary.tables.shape
    of_row = CodeIndex(corpus.vocabulary).comparison(corpus.layers).parts
    queries = np.zeros((len(asked), rows * STEPS + 2, dim), np.float32)
    queries[:, :-2] = asked.reshape(len(asked), -1, dim)[:, of_row].repeat(STEPS, axis=1)
    queries[:, -2:, 0] = -0.9 * np.linalg.norm(asked, axis=1)[:, None]  # the least cosine
    queries = queries.reshape(len(asked), -1)
    return _way("FAISS IndexPQ of the codes", index, queries, built)


def float_ways(corpus: Corpus, asked: Vectors) -> list[Way]:
    """Return FAISS on the mean vectors, of 2 KiB each."""
    vectors = pooled(corpus)
    count, dim = vectors.shape
    flat, fast = faiss.IndexFlatIP(dim), faiss.IndexPQFastScan(dim, 64, 4, INNER)
    lists = int(2 * np.sqrt(count))
    inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, INNER)
    inverted.cp.min_points_per_centroid = 1  # it warns below 39
    ways = [
        _way("FAISS flat", flat, asked, _built(flat, vectors)),
        _reranked(_way("", fast, asked, _built(fast, vectors)), fast, corpus, asked),
    ]
    built = _built(inverted, vectors)
    packed = faiss.IndexIVFPQ(inverted.quantizer, dim, lists, 32, 8, INNER)  # the same centroids
    ways.append(
        _way(
            f"FAISS {lists} inverted lists of PQ32, 64 probes",
            packed,
            asked,
            _built(packed, vectors),
            faiss.SearchParametersIVF(nprobe=64),
        )
    )
    for probes in PROBES[:2]:
        name = f"FAISS {lists} inverted lists, {probes} probes"
        ways.append(_way(name, inverted, asked, built, faiss.SearchParametersIVF(nprobe=probes)))
    if count <= GRAPH_UP_TO:
        graph = faiss.IndexHNSWFlat(dim, 32, INNER)
        breadth = faiss.SearchParametersHNSW(efSearch=BREADTH)
        ways.append(_way("FAISS neighbour graph", graph, asked, _built(graph, vectors), breadth))
    del vectors
    gc.collect()
    return ways


def pooled(corpus: Corpus) -> Vectors:
    """Return the mean vectors ``[R, K * D]`` of length 1."""
    return unit_means(corpus.codes, CodeIndex(corpus.vocabulary).comparison(corpus.layers))


def _built(index: faiss.Index, vectors: Vectors) -> Stopwatch:
    """Train an index on a part of ``vectors`` ``[R, D]`` and add all; tell how long that took."""
    built = Stopwatch()
    with built.running():
        if not index.is_trained:
            index.train(vectors[:: max(1, len(vectors) // TRAINED_ON)])
        index.add(vectors)
    return built


def _way(
    name: str,
    index: faiss.Index,
    queries: Vectors,
    built: Stopwatch,
    parameters: faiss.SearchParameters | None = None,
) -> Way:
    """Return a FAISS index as a way; its file is taken for its memory too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index")
        faiss.write_index(index, str(path))
        size = path.stat().st_size / index.ntotal

    def find(start: int, end: int) -> Keys:
        found: Keys = index.search(queries[start:end], K, params=parameters)[1] + 1
        return found

    return Way(
        name,
        size,
        size,
        index.ntotal / built.seconds,
        lambda n: find(n, n + 1)[0],
        lambda: find(0, MANY),
    )


def _reranked(way: Way, index: faiss.Index, corpus: Corpus, asked: Vectors) -> Way:
    """Return the search of an index with the best of what it finds by their codes."""
    comparison = CodeIndex(corpus.vocabulary).comparison(corpus.layers)
    codes_each = corpus.codes[0].size * 9 / 8

    def find(n: int) -> Keys:
        rows = index.search(asked[n : n + 1], RERANKED)[1][0]
        towards, which = comparison.towards(asked[n])[None], np.zeros(len(rows), np.int64)
        scores = best_cosines(
            corpus.codes[rows], comparison.tables, comparison.parts, towards, which, STEPS
        )
        return rows[np.argsort(-scores)[:K]] + 1

    name = f"FAISS PQ64x4 fast scan, the best {RERANKED} by their codes"
    return Way(name, way.memory_each + codes_each, way.disk_each + codes_each, way.rate, find)


def _bytes_of_snapshot(index: CodeIndex) -> int:
    with tempfile.TemporaryDirectory() as folder:
        blocks = snapshot_blocks({Modality.AUDIO: index})
        Snapshots(Path(folder), fingerprint="").write(Snapshot(Position(0, 0, 0), blocks))
        return sum(path.stat().st_size for path in Path(folder).iterdir())
