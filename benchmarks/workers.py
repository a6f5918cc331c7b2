"""How throughput grows with ``srcid serve --workers``: searches by sentence, clips and writes.

    OMP_NUM_THREADS=1 python -m benchmarks.workers --out benchmarks/results/...

Servers of 1, 2 and more processes take turns. The load comes from a process of its own, on the
same machine: with as many servers as processors it takes part of what is measured.
"""

import os
import platform
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import httpx2
import torch
import typer

from benchmarks.load import Load, closed_loop
from benchmarks.media import moving_clip
from benchmarks.processes import served
from benchmarks.wire import Call

CLIENTS = 16
WORKERS = (1, 2, 4)
SENTENCES = ("a dog barks", "rain on a roof", "a piano plays", "a train passes by")
CLIP_SECONDS = 2


def main(
    seconds: Annotated[float, typer.Option(help="Of each load.")] = 8.0,
    rounds: Annotated[int, typer.Option(help="In which the servers take turns.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Measure, and print the report."""
    lines = list(report(seconds, rounds))
    print("\n".join(lines))
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(seconds: float, rounds: int) -> Iterator[str]:
    """Yield the lines of the report."""
    found: dict[tuple[int, str], list[float]] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator:
        for _ in range(rounds):
            for workers in WORKERS:
                for name, load in loads(workers, seconds, generator):
                    assert len(load.answered(200)) == len(load.shots)
                    found.setdefault((workers, name), []).append(load.per_second)
    names = list(dict.fromkeys(name for _, name in found))
    yield f"# Serving with several processes, {os.cpu_count()} processors"
    yield ""
    yield (
        f"torch {torch.__version__}, {platform.machine()}; {CLIENTS} clients, loads of "
        f"{seconds:g} s, medians of {rounds} rounds. Requests a second:"
    )
    yield ""
    yield "| workers | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for workers in WORKERS:
        rates = [statistics.median(found[workers, name]) for name in names]
        yield f"| {workers} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |"


def loads(
    workers: int, seconds: float, generator: ProcessPoolExecutor
) -> Iterator[tuple[str, Load]]:
    """Yield each load on a server of so many processes."""
    with served(workers=workers, max_queue=256) as server:
        for number, sentence in enumerate(SENTENCES):
            body = {"id": f"{number}", "text": sentence}
            httpx2.post(f"{server.url}/items", json=body, timeout=60).raise_for_status()
        search = [Call(f"{server.url}/search", text=sentence) for sentence in SENTENCES]
        encode = [Call(f"{server.url}/encode", file=moving_clip(CLIP_SECONDS))]
        for name, calls in (("searches", search), (f"clips of {CLIP_SECONDS} s", encode)):
            generator.submit(closed_loop, calls, clients=CLIENTS, seconds=1).result()  # warms up
            yield (
                name,
                generator.submit(closed_loop, calls, clients=CLIENTS, seconds=seconds).result(),
            )


if __name__ == "__main__":
    typer.run(main)
