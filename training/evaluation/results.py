"""The tables of a benchmark: ours, mean and standard error over seeds, and the paper's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from training.evaluation.captions import DIRECTIONS
from training.evaluation.figures import Figures
from training.evaluation.paper import COLUMNS, WITHIN_COLUMNS, PaperRow
from training.evaluation.runner import PROTOCOLS, ProtocolName
from training.evaluation.tables import Cell, Table, over_runs
from training.evaluation.tasks import Suite, Task

RETRIEVAL = {  # columns of a table of retrieval
    "R@1": "vectors/{}/recall_at_1",
    "R@5": "vectors/{}/recall_at_5",
    "R@10": "vectors/{}/recall_at_10",
    "median rank": "vectors/{}/median_rank",
    "mean first R@10": "mean first/{}/recall_at_10",
    "index R@10": "index/{}/recall_at_10",
}


def all_tables(
    rows: Sequence[PaperRow],
    runs: Mapping[str, Sequence[Figures]],
    suite: Suite,
    *,
    ceiling: Figures,
) -> Iterator[Table]:
    """Yield every table of a benchmark.

    ``chosen_tables`` yields a part of them.

    Args:
        rows: Of a table of the paper, or made for recipes that it has not.
        runs: The figures of each recipe's runs, a mapping a seed.
        suite: The benchmark's tasks.
        ceiling: What probes of the frozen features reach.
    """
    yield from chosen_tables(1, rows, runs, suite, ceiling=ceiling)
    yield from chosen_tables(3, rows, runs, suite, ceiling=ceiling)
    yield vocabulary_table(runs)


def chosen_tables(
    number: int,
    rows: Sequence[PaperRow],
    runs: Mapping[str, Sequence[Figures]],
    suite: Suite,
    *,
    ceiling: Figures,
) -> Iterator[Table]:
    """Yield what the paper has in its table ``number``.

    Table 1 is across and within modalities, 2 across them, 3 retrieval. The other arguments are
    those of ``all_tables``.
    """
    if number == 3:
        for task in suite.retrieval:
            for direction in DIRECTIONS:
                yield retrieval_table(rows, runs, column=task.name(direction))
        return
    for protocol in PROTOCOLS:
        yield probe_table(rows, runs, suite, protocol=protocol)
        if number == 1:
            features = PaperRow("the frozen features", "features", "features", (), 0.0)
            within = {**runs, "features": [ceiling]}
            yield probe_table([*rows, features], within, suite, protocol=protocol, within=True)
    yield localisation_table(rows, runs, suite)
    if suite.name != "paper":
        yield paper_table(rows)
        if number == 1:
            yield paper_table(rows, within=True)


def probe_table(
    rows: Sequence[PaperRow],
    runs: Mapping[str, Sequence[Figures]],
    suite: Suite,
    *,
    protocol: ProtocolName,
    within: bool = False,
) -> Table:
    """Return ours, a row each, and on the paper's own data sets the paper's cells below each.

    Args:
        rows: Of a table of the paper, or made for a recipe that it has not.
        runs: The figures of each recipe's runs, a mapping a seed.
        suite: Whose tasks are the columns.
        protocol: How they were run.
        within: The tasks within a modality instead of those across.
    """
    tasks = suite.within() if within else suite.across()
    lines = []
    for row in rows:
        own = _cells(runs.get(row.recipe, ()), tasks, protocol, row.layers)
        lines.append((row.title, own))
        if suite.name == "paper" and (row.within if within else row.cells):
            printed = _paper_cells(row, [task.name for task in tasks], within=within)
            lines.append((f"{row.title}, paper", printed))
    where = "within a modality" if within else "across modalities"
    title = f"{suite.name}, {where}, protocol: {protocol}"
    return Table(title, (*(_column(task) for task in tasks), "mean"), tuple(lines))


def localisation_table(
    rows: Sequence[PaperRow], runs: Mapping[str, Sequence[Figures]], suite: Suite
) -> Table:
    """Return the tasks of localisation without a threshold: mean average precision."""
    tasks = [replace(own, metric="map") for own in suite.across() if own.kind == "localisation"]
    lines = [
        (row.title, _cells(runs.get(row.recipe, ()), tasks, "proper", row.layers)) for row in rows
    ]
    columns = (*(_column(task) for task in tasks), "mean")
    return Table(f"{suite.name}, localisation, protocol: proper", columns, tuple(lines))


def paper_table(rows: Sequence[PaperRow], *, within: bool = False) -> Table:
    """Return the paper's own table."""
    columns = WITHIN_COLUMNS if within else COLUMNS
    lines = [
        (row.title, _paper_cells(row, columns, within=within))
        for row in rows
        if (row.within if within else row.cells)
    ]
    where = "within a modality" if within else "across modalities"
    return Table(f"the paper's figures, {where}", (*columns, "mean"), tuple(lines))


def retrieval_table(
    rows: Sequence[PaperRow], runs: Mapping[str, Sequence[Figures]], *, column: str
) -> Table:
    """Return recall and ranks of one direction, such as ``MSCOCO T>V``."""
    lines = []
    for row in rows:
        names = [f"retrieval/{row.layers}/{name.format(column)}" for name in RETRIEVAL.values()]
        lines.append((row.title, _means(runs.get(row.recipe, ()), names)))
    return Table(f"retrieval, {column}", tuple(RETRIEVAL), tuple(lines))


def vocabulary_table(runs: Mapping[str, Sequence[Figures]]) -> Table:
    """Return how each recipe's codebooks are used and shared, one row per layer."""
    prefix = "vocabulary/"
    everything = [name for own in runs.values() for one in own for name in one]
    paths = [name.removeprefix(prefix) for name in everything if name.startswith(prefix)]
    columns = tuple(dict.fromkeys(path.partition("/")[2] for path in paths))
    lines = []
    for recipe, own in runs.items():
        for layer in ("1", "2"):
            cells = _means(own, [f"{prefix}{layer}/{column}" for column in columns])
            if any(cells):
                lines.append((f"{recipe}, layer {layer}", cells))
    titles = tuple(column.replace("/", " ").replace("_", " ") for column in columns)
    return Table("codebooks on paired test clips", titles, tuple(lines), digits=2)


def _cells(
    runs: Sequence[Figures], tasks: Sequence[Task], protocol: str, layers: str
) -> tuple[Cell | None, ...]:
    names = [f"{protocol}/{layers}/{task.name}/{task.metric}" for task in tasks]
    whole = [figures for figures in runs if all(name in figures for name in names)]
    cells = [over_runs([own[name] for own in runs if name in own]) for name in names]
    return (*cells, over_runs([mean(own[name] for name in names) for own in whole]))


def _paper_cells(row: PaperRow, columns: Sequence[str], *, within: bool) -> tuple[Cell | None, ...]:
    """Return what the paper prints in ``columns``, and its mean; of a part of them, the part's."""
    names, cells = (WITHIN_COLUMNS, row.within) if within else (COLUMNS, row.cells)
    printed = dict(zip(names, cells, strict=True))
    own = [printed[name] for name in columns if name in printed]
    whole = row.within_mean if within else row.mean
    total = whole if len(own) == len(names) or not own else mean(own)
    shown = [*(printed.get(name) for name in columns), total]
    return tuple(None if value is None else Cell(value, None) for value in shown)


def _column(task: Task) -> str:
    return task.name if task.metric == "accuracy" else f"{task.name} ({task.metric})"


def _means(runs: Sequence[Figures], names: Sequence[str]) -> tuple[Cell | None, ...]:
    return tuple(over_runs([own[name] for own in runs if name in own]) for name in names)
