"""The service under load, beside the bare network and beside a naive endpoint.

    OMP_NUM_THREADS=1 python -m benchmarks.service --quick
    OMP_NUM_THREADS=1 python -m benchmarks.service clips --out benchmarks/results/service_cpu_DAY.md

All run the shipped checkpoint, one torch thread a network. The bare network decodes and encodes
in one process, item by item, as the service does on a CPU. Contenders take turns. Processor time
is that of the server and all its processes; the load generator's, in a process of its own, is not
in it. Goals are those of docs/serving.md. Each part takes up to nine minutes.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks import service_load, service_state
from benchmarks.load import Load
from benchmarks.processes import Others
from benchmarks.service_plan import FULL, QUICK, Plan


class Part(StrEnum):
    """What is measured on its own."""

    CLIPS = "clips"
    SENTENCES = "sentences"
    ADDED = "added"
    OVERLOAD = "overload"
    CODES = "codes"
    MEMORY = "memory"
    STARTS = "starts"


def main(
    parts: Annotated[
        list[Part] | None, typer.Argument(help="What is measured; everything by default.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Smaller loads: about four minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also append the report to this file.")] = None,
) -> None:
    """Measure throughput, latency, overload, start, memory and codes; print the report."""
    torch.set_num_threads(1)
    plan = QUICK if quick else FULL
    for lines in report(plan, parts or list(Part)):
        print("\n".join(lines), flush=True)
        if out:
            with out.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")


def report(plan: Plan, parts: Iterable[Part]) -> Iterable[list[str]]:
    """Yield the parts of the report as they are measured."""
    yield [
        f"`python -m benchmarks.service {' '.join(sys.argv[1:])}`: torch {torch.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} processors."
    ]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator:

        def run(load: Callable[..., Load], *arguments: Any, **options: Any) -> Load:
            return generator.submit(load, *arguments, **options).result()

        for part in parts:
            others = Others()
            lines = measure(part, plan, run)
            told = f"- meanwhile, others took {others.processors:.2f} of the processors"
            yield [*lines, told]


def measure(part: Part, plan: Plan, run: service_load.Run) -> list[str]:
    """Return the lines of one part."""
    match part:
        case Part.CLIPS | Part.SENTENCES:
            return service_load.throughput(plan, part.value, run)
        case Part.ADDED:
            return service_load.added(plan)
        case Part.OVERLOAD:
            return [
                line
                for what in ("clips", "sentences")
                for line in service_load.overload(plan, what, run)
            ]
        case Part.CODES:
            return service_state.companies(plan)
        case Part.MEMORY:
            return service_state.memory(plan, run)
        case Part.STARTS:
            return service_state.starts(plan)


if __name__ == "__main__":
    typer.run(main)
