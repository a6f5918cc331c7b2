"""Milliseconds a query, queries a second, memory and recall of every way to search.

    OMP_NUM_THREADS=1 python -m benchmarks.search --count 1000000 --corpus topical

All ways answer the same queries in turns, on one thread: streams of ten seconds, ten hits.
Processor time; the medians of all turns. Recall is of the ten nearest that the scan finds, ties
counted as found.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import faiss
import numpy as np
import torch
import typer

from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from benchmarks.corpora import Corpus, random_corpus, real_corpus, topical_corpus
from benchmarks.goals import Goal
from benchmarks.search_ways import (
    BEST_SECOND,
    MANY,
    PROBES,
    SCAN,
    K,
    Keys,
    Vectors,
    Way,
    code_ways,
    float_ways,
    pq_way,
)

FLOATS_UP_TO = 300_000  # streams whose 2 KiB vectors are compared too, unless asked for
GOALS_AT = 1_000_000  # streams


def main(
    count: Annotated[int, typer.Option(help="How many streams.")] = 100_000,
    corpus: Annotated[Literal["topical", "random", "real"], typer.Option()] = "topical",
    media: Annotated[list[Path], typer.Option(help="For real: folders of sounds.")] = [],  # noqa: B006
    codes: Annotated[Path, typer.Option(help="Keeps their codes.")] = Path("codes.npz"),
    floats: Annotated[bool, typer.Option(help="FAISS on vectors, however many.")] = False,
    queries: Annotated[int, typer.Option(help="How many of them, in turns.")] = 20,
    quick: Annotated[bool, typer.Option(help="10,000 streams, 3 queries.")] = False,
) -> None:
    """Print one table."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    count, queries = (10_000, 3) if quick else (count, queries)
    own = made(corpus, count, media, codes)
    asked = made_queries(own, max(queries, MANY))
    ways = code_ways(own, asked)
    if floats or count <= FLOATS_UP_TO:
        ways += [pq_way(own, asked), *float_ways(own, asked)]
    best = nearest(own, asked[:queries])
    for number in range(-1, queries):  # the first turn warms up
        for way in (way for way in ways if number % way.every == 0 or number < 0):
            start = time.process_time()
            keys = way.find(max(number, 0))
            spent = 1000 * (time.process_time() - start)
            if number >= 0:
                way.milliseconds.append(spent)
                way.recalls.append(recall(keys, best[number]))
    print(f"{count} streams, {corpus}\n")
    print("| way | bytes in memory | on disk | built, a second | ms | q/s of 128 | recall@10 |")
    print("|---|---|---|---|---|---|---|")
    for way in ways:
        found = "" if "best" in way.name.split(",")[0] else f"{np.mean(way.recalls):.3f}"
        print(
            f"| {way.name} | {way.memory_each:.0f} | {way.disk_each:.0f} | {way.rate:,.0f} "
            f"| {np.median(way.milliseconds):.2f} | {rate(way)} | {found} |"
        )
    if count == GOALS_AT:
        print("", *goals(ways), sep="\n")


def goals(ways: list[Way]) -> Iterator[Goal]:
    """Yield the goals of the search among a million streams."""
    named = {way.name: way for way in ways}
    scan, best = (named[own] for own in (SCAN, BEST_SECOND))
    lists = next(way for way in ways if f", {PROBES[1]} probes" in way.name and "codes" in way.name)
    yield Goal("P4", "exact search of 1M", float(np.median(scan.milliseconds)), 11, False, "ms")
    yield Goal("P4", "exact search of 1M, 128 at once", queries_a_second(scan), 500, True, "q/s")
    yield Goal("P4", "memory", round(scan.memory_each), 25, False, "bytes")
    yield Goal("P5", "search by lists", float(np.median(lists.milliseconds)), 1, False, "ms")
    yield Goal("P5", "recall@10 by lists", float(np.mean(lists.recalls)), 0.98, True)
    yield Goal("P5", "best second", float(np.median(best.milliseconds)), 1, False, "ms")


def made(kind: str, count: int, media: list[Path], codes: Path) -> Corpus:
    """Return the corpus of that name."""
    if kind == "real":
        if not (media or codes.exists()):
            raise typer.BadParameter("real needs --media, folders of sounds in folders by class")
        return real_corpus(count, media, codes)
    return topical_corpus(count) if kind == "topical" else random_corpus(count)


def made_queries(corpus: Corpus, count: int) -> Vectors:
    """Return pooled vectors ``[N, K * D]``: streams of which two seconds have been replaced."""
    rng = np.random.default_rng(2)
    rows = rng.integers(0, len(corpus.codes), (2, count))
    mixed = corpus.codes[rows[0]].astype(np.int16)
    mixed[:, :, 8:] = corpus.codes[rows[1], :, 8:]
    return np.stack([corpus.vocabulary.pooled(codes, corpus.layers) for codes in mixed])


def nearest(corpus: Corpus, asked: Vectors) -> list[Keys]:
    """Return for each query the keys of the best ten and of what ties with the last."""
    index = CodeIndex(corpus.vocabulary)
    index.add(np.arange(1, len(corpus.codes) + 1), corpus.codes)
    return [index.search(IndexSearch(query[None], corpus.layers, K))[0].keys for query in asked]


def recall(keys: Keys, best: Keys) -> float:
    """Return the share of the ten that are among the best."""
    return min(1.0, float(np.isin(keys, best).sum()) / K)


def rate(way: Way) -> str:
    """Return how many queries a second are answered when many are asked at once, as text."""
    return f"{queries_a_second(way):.0f}" if way.find_many else "-"


def queries_a_second(way: Way) -> float:
    """Return how many queries a second are answered when many are asked at once."""
    assert way.find_many is not None
    way.find_many()
    start = time.process_time()
    way.find_many()
    return MANY / (time.process_time() - start)


if __name__ == "__main__":
    typer.run(main)
