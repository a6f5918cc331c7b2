"""All benchmarks, one after another, and their goals on one page.

    python -m benchmarks.summary                 all of them: more than an hour on two cores
    python -m benchmarks.summary store search    some; the page keeps what it has of the others

What a benchmark prints goes to ``benchmarks/results/bench``, the page to
``benchmarks/results/summary.md``. Have nothing else run meanwhile: how busy the machine was before
each is told.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.goals import Goal, number

RESULTS = Path(__file__).parent / "results"
RUNS = {
    "service-clips": "benchmarks.service clips",
    "service-sentences": "benchmarks.service sentences",
    "service-added": "benchmarks.service added",
    "service-overload": "benchmarks.service overload",
    "service-codes": "benchmarks.service codes",
    "service-memory": "benchmarks.service memory",
    "service-starts": "benchmarks.service starts",
    "search": "benchmarks.search --count 1000000 --corpus topical",
    "store": "benchmarks.store --count 1000000",
    "indexing": "benchmarks.indexing",
    "step": "benchmarks.training_step --clips 80 --channels 64 --rounds 5",
}
HEAD = """# Goals and what was measured

Written by `make bench` (`python -m benchmarks.summary`); a ratio is the measured value over the
goal. Each benchmark alternates with what it is compared with, in one run. Its whole report is the
file that its name leads to; what is known of those that are missed stands in [missed](missed.md).

| goal | what | wanted | measured | ratio | | benchmark | day |
|---|---|---|---|---|---|---|---|"""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(RUNS)}; all by default.")
    ] = None,
) -> None:
    """Run benchmarks and write the page."""
    if unknown := set(names or []) - set(RUNS):
        raise typer.BadParameter(f"there is no benchmark {unknown.pop()}: {', '.join(RUNS)}")
    folder = RESULTS / "bench"
    folder.mkdir(exist_ok=True)
    for name in names or RUNS:
        print(f"{name}: python -m {RUNS[name]}", file=sys.stderr, flush=True)
        (folder / f"{name}.md").write_text(report_of(RUNS[name]), encoding="utf-8")
    page = "\n".join([HEAD, *rows(folder)]) + "\n"
    (RESULTS / "summary.md").write_text(page, encoding="utf-8")
    print(page)


def report_of(command: str) -> str:
    """Run a benchmark and return what it printed, under the machine, the day and the command.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    load, begun = os.getloadavg()[0], time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", *command.split()],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    minutes = (time.monotonic() - begun) / 60
    return (
        f"`OMP_NUM_THREADS=1 python -m {command}`\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}; {processor()}, {os.cpu_count()} processors, load "
        f"{load:.1f} before; {minutes:.0f} minutes.\n\n{ran.stdout}"
    )


def rows(folder: Path) -> Iterator[str]:
    """Yield a line of the page for each goal that a report in ``folder`` tells of."""
    for name in RUNS:
        path = folder / f"{name}.md"
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        day = lines[2].partition(";")[0]
        for goal in filter(None, map(Goal.parse, lines)):
            sign = "≥" if goal.is_least else "≤"
            outcome = "met" if goal.is_met else "**missed**"
            ratio = f"{goal.value / goal.bound:.2f}" if goal.bound else ""
            yield (
                f"| {goal.id} | {goal.what} | {sign} {number(goal.bound)} {goal.unit} "
                f"| {number(goal.value)} {goal.unit} | {ratio} | {outcome} "
                f"| [{name}](bench/{name}.md) | {day} |"
            )


def processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


if __name__ == "__main__":
    typer.run(main)
