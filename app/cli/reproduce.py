"""``srcid reproduce``: train and evaluate the rows of a table of the paper."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import FormatOption, SetOption, parse_pairs

if TYPE_CHECKING:
    from training.config import TrainConfig
    from training.reproduce import Progress

SEEDS = (43, 1, 2, 3, 4)  # then 5, 6, ...


def reproduce(
    data: Annotated[Path, typer.Option(help="Composed scenes, or root of the archives.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs, one subfolder each.")],
    table: Annotated[int, typer.Option(min=1, max=3, help="Table of the paper: 1 or 2.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per row.")] = 5,
    rows: Annotated[
        str | None, typer.Option(help="Recipes to use instead, such as srcid,dcid.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Parallel runs, one process each.")] = 1,
    setting: SetOption = None,
    form: FormatOption = "text",
) -> None:
    """Train and evaluate all rows of a table. Run it again to continue an interrupted run."""
    from training.evaluation.benchmarks import open_benchmark
    from training.evaluation.pictures import write_figure_3
    from training.evaluation.results import all_tables
    from training.evaluation.rows import recipe_rows, table_rows
    from training.evaluation.tables import render
    from training.reproduce import ceiling, plan, read_figures
    from training.reproduce import reproduce as run

    chosen = recipe_names(rows) if rows else [row.recipe for row in table_rows(table)]
    configs = _configs(list(dict.fromkeys(chosen)), data, setting or [])
    benchmark = open_benchmark(data, configs[0].model)
    numbers = [*SEEDS, *range(5, seeds)][:seeds]
    runs = plan(configs, numbers, out)
    for progress in run(runs, jobs=jobs):
        print(_line(progress), file=sys.stderr, flush=True)
    figures = {
        config.name: [
            kept.figures
            for planned in runs
            if planned.config.name == config.name and (kept := read_figures(planned.folder))
        ]
        for config in configs
    }
    shown = recipe_rows(configs) if rows else table_rows(table)
    tables = all_tables(shown, figures, benchmark.suite, ceiling=ceiling(benchmark, out))
    print("\n\n".join(render(table, form) for table in tables if table.rows))
    if picture := write_figure_3(figures, benchmark.suite, out):
        print(f"figure 3: {picture}", file=sys.stderr)


def recipe_names(rows: str) -> list[str]:
    """Return the recipe names in a comma-separated list."""
    return [name.strip().replace("-", "_") for name in rows.split(",") if name.strip()]


def _configs(names: list[str], data: Path, settings: list[str]) -> "list[TrainConfig]":
    from training.data.scenes.folder import is_scenes
    from training.recipes import on_scenes, override, recipe

    configs = [recipe(name) for name in names]
    if is_scenes(data):
        configs = [on_scenes(config) for config in configs]
    fields = parse_pairs(settings) | {"data.folder": str(data.absolute())}
    return [override(config, fields) for config in configs]


def _line(progress: "Progress") -> str:
    spent = f"{_clock(progress.seconds_spent)} of compute so far"
    left = "" if progress.seconds_left is None else f", about {_clock(progress.seconds_left)} left"
    last = ""
    if progress.last:
        how = f"failed ({progress.failure})" if progress.failure else "done"
        last = f"{progress.last.folder.name} {how}; "
    return f"[{progress.done}/{progress.total}] {last}{spent}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
