"""Milliseconds a query, queries a second, memory and recall of every way to search.

    OMP_NUM_THREADS=1 python -m benchmarks.search --count 1000000 --corpus topical

All ways answer the same queries in turns, on one thread: streams of ten seconds, ten hits.
Processor time; the medians of all turns. Recall is of the ten nearest that the scan finds, ties
counted as found.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import faiss
import numpy as np
import torch
import typer
from numpy.typing import NDArray

from app.store.code_index import CodeIndex
from app.store.kernels import load_kernels
from app.store.pq import pq_index, pq_query
from app.store.vector_index import inverted_lists, neighbour_graph
from benchmarks.corpora import LAYERS, STEPS, Corpus, random_corpus, real_corpus, topical_corpus

K = 10
FLOATS_UP_TO = 300_000  # streams whose 2 KiB vectors are compared too, unless asked for
MANY = 128  # queries at once

Vectors = NDArray[np.float32]
Keys = NDArray[np.integer]


@dataclass
class Way:
    """One way to search."""

    name: str
    bytes_each: float
    find: Callable[[int], Keys]  # a query's number -> keys, any order
    find_many: Callable[[], object] | None = None
    note: str = ""  # in place of the recall
    milliseconds: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)


def main(
    count: Annotated[int, typer.Option(help="How many streams.")] = 100_000,
    corpus: Annotated[Literal["topical", "random", "real"], typer.Option()] = "topical",
    media: Annotated[Path | None, typer.Option(help="Folder of sounds, for real.")] = None,
    floats: Annotated[bool, typer.Option(help="FAISS on vectors, however many.")] = False,
    queries: Annotated[int, typer.Option(help="How many of them, in turns.")] = 20,
    quick: Annotated[bool, typer.Option(help="10,000 streams, 3 queries.")] = False,
) -> None:
    """Print one table."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    count, queries = (10_000, 3) if quick else (count, queries)
    own = made(corpus, count, media)
    asked = made_queries(own, max(queries, MANY))
    ways = code_ways(own, asked)
    ways.append(pq_way(own, asked))
    if floats or count <= FLOATS_UP_TO:
        ways += float_ways(own, asked)
    best = nearest(own, asked[:queries])
    for number in range(-1, queries):  # the first turn warms up
        for way in ways:
            start = time.process_time()
            keys = way.find(max(number, 0))
            spent = 1000 * (time.process_time() - start)
            if number >= 0:
                way.milliseconds.append(spent)
                way.recalls.append(recall(keys, best[number]))
    print(f"{count} streams, {corpus}\n")
    print("| way | bytes a stream | ms a query | q/s, 128 at once | recall@10 |")
    print("|---|---|---|---|---|")
    for way in ways:
        found = way.note or f"{np.mean(way.recalls):.3f}"
        print(
            f"| {way.name} | {way.bytes_each:.0f} | {np.median(way.milliseconds):.2f} "
            f"| {rate(way)} | {found} |"
        )


def made(kind: str, count: int, media: Path | None) -> Corpus:
    """Return the corpus of that name."""
    if kind == "real":
        if media is None:
            raise typer.BadParameter("real needs --media, a folder of sounds")
        return real_corpus(count, media)
    return topical_corpus(count) if kind == "topical" else random_corpus(count)


def made_queries(corpus: Corpus, count: int) -> Vectors:
    """Return pooled vectors ``[N, 2 * D]``: streams of which two seconds have been replaced."""
    rng = np.random.default_rng(2)
    rows = rng.integers(0, len(corpus.codes), (2, count))
    mixed = corpus.codes[rows[0]].astype(np.int16)
    mixed[:, :, 8:] = corpus.codes[rows[1], :, 8:]
    return np.stack([corpus.vocabulary.pooled(codes, LAYERS) for codes in mixed])


def code_ways(corpus: Corpus, asked: Vectors) -> list[Way]:
    """Return the searches over codes."""
    exact, likely = (
        CodeIndex(corpus.vocabulary, kernels=load_kernels(), is_approximate=own, postings_from=1)
        for own in (False, True)
    )
    keys = np.arange(1, len(corpus.codes) + 1)
    exact.add(keys[:1], corpus.codes[:1])
    exact.remove(1)
    start = time.process_time()
    exact.add(keys, corpus.codes)
    print(f"built at {len(keys) / (time.process_time() - start):,.0f} streams a second")
    likely.blocks = exact.blocks
    likely.search(asked[0], layers=LAYERS, k=K)
    (postings,) = likely._postings.values()
    scanned = exact.nbytes / len(keys)
    listed = scanned + postings.nbytes / len(keys)
    return [
        Way(
            "codes: scan",
            scanned,
            lambda n: exact.search(asked[n], layers=LAYERS, k=K).keys,
            lambda: exact.search_many(asked[:MANY], layers=LAYERS, k=K),
        ),
        Way(
            "codes: postings, else scan",
            listed,
            lambda n: likely.search(asked[n], layers=LAYERS, k=K).keys,
        ),
        Way(
            "codes: postings, best second",
            listed,
            lambda n: exact.search(asked[n], layers=LAYERS, k=K, width=1).keys,
            note="exact",
        ),
    ]


def pq_way(corpus: Corpus, asked: Vectors) -> Way:
    """Return FAISS on the codes."""
    index = pq_index(corpus.vocabulary, corpus.codes, steps=STEPS)
    queries = np.stack([pq_query(own, rows=2, steps=STEPS) for own in asked])
    return Way(
        "FAISS IndexPQ",
        index.code_size,
        lambda n: index.search(queries[n : n + 1], K)[1][0] + 1,
        note="exact inner product",
    )


def float_ways(corpus: Corpus, asked: Vectors) -> list[Way]:
    """Return FAISS on the mean vectors, of 2 KiB each."""
    vectors = pooled(corpus)
    keys = np.arange(1, len(vectors) + 1)
    wanted = {"FAISS flat": faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))}
    if len(keys) <= FLOATS_UP_TO:  # beyond, these take many minutes to build
        wanted["FAISS inverted lists, 32 probes"] = inverted_lists(vectors)
        wanted["FAISS neighbour graph"] = neighbour_graph(vectors.shape[1])
    ways = []
    for name, index in wanted.items():
        index.add_with_ids(vectors, keys)

        def find(n: int, index: faiss.Index = index) -> Keys:
            return index.search(asked[n : n + 1], K)[1][0]

        ways.append(Way(name, vectors.itemsize * vectors.shape[1], find))
    del vectors
    gc.collect()
    return ways


def pooled(corpus: Corpus) -> Vectors:
    """Return the mean vectors ``[R, 2 * D]`` of length 1."""
    tables = corpus.vocabulary.tables
    found = np.zeros((len(corpus.codes), 2, tables.shape[2]), np.float32)
    for row in range(2):
        for step in range(STEPS):
            found[:, row] += tables[row][corpus.codes[:, row, step]]
    found = found.reshape(len(found), -1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def nearest(corpus: Corpus, asked: Vectors) -> list[Keys]:
    """Return for each query the keys of the best ten and of what ties with the last."""
    index = CodeIndex(corpus.vocabulary, kernels=load_kernels())
    index.add(np.arange(1, len(corpus.codes) + 1), corpus.codes)
    return [index.search(own, layers=LAYERS, k=K).keys for own in asked]


def recall(keys: Keys, best: Keys) -> float:
    """Return the share of the ten that are among the best."""
    return min(1.0, float(np.isin(keys, best).sum()) / K)


def rate(way: Way) -> str:
    """Return how many queries a second are answered when many are asked at once."""
    if way.find_many is None:
        return "-"
    way.find_many()
    start = time.process_time()
    way.find_many()
    return f"{MANY / (time.process_time() - start):.0f}"


if __name__ == "__main__":
    typer.run(main)
