"""How fast items are kept, and how soon an index is open.

    OMP_NUM_THREADS=1 python -m benchmarks.store

Items are streams of ten seconds with a little metadata. What is compared with the disk alone takes
turns with it: appending a page and fsync, as a program without a database would. An index is
opened in a process of its own each time, its file in the system's cache; the time does not hold
Python's imports and the compiled loops, which are told apart.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from app.store.base import Item, Stream
from app.store.index.code_index import warm_up
from app.store.local import LocalStore
from benchmarks.corpora import Corpus, random_corpus
from benchmarks.goals import Goal
from model.modality import Modality

AT_ONCE = 50_000  # items of a bulk add
ROUNDS, EACH = 5, 200  # turns, and commits of a turn
THREADS = 16
OPENINGS = 3
SINGLE = "items added one by one"

OPEN = """
import sys, time
from pathlib import Path
start = time.perf_counter()
import numpy as np
from app.schemas.search import SearchOptions
from app.store.local import LocalStore
from benchmarks.corpora import LAYERS, random_corpus
from model.modality import Modality
corpus = random_corpus(1)
loaded, used = time.perf_counter(), time.process_time()
store = LocalStore(Path(sys.argv[1]), corpus.vocabulary, fingerprint="aa", read_only=True)
opened, spent = time.perf_counter(), time.process_time() - used
query = corpus.vocabulary.pooled(corpus.codes[0].astype(np.int16), LAYERS)[None]
store.search(query, SearchOptions(targets=[Modality.AUDIO]), layers=LAYERS)
print(opened - loaded, spent, time.perf_counter() - opened)
store.close()
"""


def main(
    counts: Annotated[
        list[int] | None, typer.Option("--count", help="How many items; may be repeated.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="On the disk to measure.")] = None,
) -> None:
    """Print the tables."""
    counts = counts or [10_000, 100_000, 1_000_000]
    warm_up(random_corpus(1).vocabulary).join()
    print(
        "| items | added in bulk, items/s (of processor time) | closed, s | bytes an item ", end=""
    )
    print("| in the snapshot | opened with it, ms (processor time) | without | first search |")
    print("|---|---|---|---|---|---|---|---|")
    goals = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            goals = measure(Path(name) / "data", random_corpus(count))
    print()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        goals.append(one_by_one(Path(name)))
    print("", *goals, sep="\n")


def item(corpus: Corpus, number: int, name: str = "clip") -> Item:
    """Return an item of a corpus."""
    stream = Stream(corpus.codes[number].astype(np.int16), 10.0)
    metadata = {"album": "farm", "year": 1990 + number % 30}
    return Item(f"{name}-{number:07}", {Modality.AUDIO: stream}, metadata, None, f"{number:064x}")


def measure(folder: Path, corpus: Corpus) -> list[Goal]:
    """Print a line about adding all of a corpus and opening the index; return the goals."""
    count = len(corpus.codes)
    spent = used = 0.0
    store = LocalStore(folder, corpus.vocabulary, fingerprint="aa")
    for start in range(0, count, AT_ONCE):
        items = [item(corpus, number) for number in range(start, min(start + AT_ONCE, count))]
        begun, used_before = time.perf_counter(), time.process_time()
        store.add_many(items, replace=False)
        spent += time.perf_counter() - begun
        used += time.process_time() - used_before
    begun = time.perf_counter()
    store.close()
    closed = time.perf_counter() - begun
    size = (folder / "items.sqlite3").stat().st_size / count
    (snapshot,) = (folder / "snapshots").iterdir()
    mapped = snapshot.stat().st_size / count
    with_one = openings(folder)
    shutil.rmtree(folder / "snapshots")
    without = openings(folder)
    print(
        f"| {count:,} | {count / spent:,.0f} ({count / used:,.0f}) | {closed:.2f} | {size:.0f} "
        f"| {mapped:.0f} | {with_one[0]:.0f} ({with_one[1]:.0f}) "
        f"| {without[0]:.0f} ({without[1]:.0f}) | {with_one[2]:.0f} |",
        flush=True,
    )
    return [
        Goal("P6", f"adding {count:,} in bulk", count / spent, 100_000, True, "items/s"),
        Goal("P6", f"opening {count:,}", with_one[0] / 1000, 1, False, "s"),
    ]


def openings(folder: Path) -> list[float]:
    """Return the medians of milliseconds to open, of processor time, and to search once."""
    command = [sys.executable, "-c", OPEN, str(folder)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(OPENINGS)
    ]
    return [1000 * float(own) for own in np.median(np.array(runs, float), axis=0)]


def one_by_one(folder: Path) -> Goal:
    """Print the rates of single adds and of the disk alone, in turns; return the goal."""
    corpus = random_corpus(EACH)
    with LocalStore(folder / "data", corpus.vocabulary, fingerprint="aa") as store:
        page, plain = os.urandom(4096), os.open(folder / "plain", os.O_CREAT | os.O_WRONLY)

        def append(_: int) -> None:
            for _ in range(EACH):
                os.write(plain, page)
                os.fsync(plain)

        def add(turn: int) -> None:
            for number in range(EACH):
                store.add(item(corpus, number, f"one-{turn}"), replace=False)

        def add_from_threads(turn: int) -> None:
            def own(place: int) -> None:
                for number in range(place, EACH, THREADS):
                    store.add(item(corpus, number, f"many-{turn}"), replace=False)

            threads = [threading.Thread(target=own, args=(place,)) for place in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        ways: dict[str, Callable[[int], None]] = {
            "a page appended, fsync": append,
            SINGLE: add,
            f"items added by {THREADS} threads": add_from_threads,
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(ROUNDS):
            for name, run in ways.items():
                begun = time.perf_counter()
                run(turn)
                rates[name].append(EACH / (time.perf_counter() - begun))
        os.close(plain)
    disk = rates["a page appended, fsync"]
    print("| durable | a second (median) | of the disk's rate, turn by turn |")
    print("|---|---|---|")
    for name, own in rates.items():
        shares = np.array(own) / np.array(disk)
        print(f"| {name} | {np.median(own):,.0f} | {', '.join(f'{s:.2f}' for s in shares)} |")
    share = float(np.median(np.array(rates[SINGLE]) / np.array(disk)))
    return Goal("P6", "one by one, of the disk's bare fsync rate", share, 0.8, True)


if __name__ == "__main__":
    typer.run(main)
