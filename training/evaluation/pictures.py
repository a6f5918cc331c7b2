"""Tables as bars: the figures of the paper that we can draw."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from training.evaluation.figures import Figures
from training.evaluation.paper import PaperRow
from training.evaluation.results import probe_table
from training.evaluation.tables import Table
from training.evaluation.tasks import Suite

FIGURE_3 = (  # which layers disentangle; the paper draws them, without figures in its text
    PaperRow("SRCID", "srcid", "both", (), 0.0),
    PaperRow("without CLUB in layer 1", "srcid_no_club1", "both", (), 0.0),
    PaperRow("without CLUB in layer 2", "srcid_no_club2", "both", (), 0.0),
    PaperRow("without CLUB", "srcid_no_club", "both", (), 0.0),
)


def write_figure_3(
    runs: Mapping[str, Sequence[Figures]], suite: Suite, folder: Path
) -> Path | None:
    """Draw what CLUB brings, in the proper protocol, as ``figure3.png``.

    Returns:
        The picture; None where a row has no run yet.
    """
    if not all(runs.get(row.recipe) for row in FIGURE_3):
        return None
    path = folder / "figure3.png"
    bars(probe_table(FIGURE_3, runs, suite, protocol="proper")).savefig(path, dpi=110)
    return path


def bars(table: Table) -> Figure:
    """Return a group of bars for each column of ``table``, with a bar a row and standard errors."""
    figure = Figure(figsize=(2 + 1.3 * len(table.columns), 4), layout="constrained")
    axis = figure.subplots()
    width = 0.8 / len(table.rows)
    for n, (name, cells) in enumerate(table.rows):
        known = [(place, cell) for place, cell in enumerate(cells) if cell is not None]
        axis.bar(
            [place + (n - (len(table.rows) - 1) / 2) * width for place, _ in known],
            [cell.mean for _, cell in known],
            width,
            yerr=[cell.error or 0 for _, cell in known],
            capsize=2,
            label=name,
        )
    axis.set_xticks(
        range(len(table.columns)),
        [column.replace(" ", "\n", 1) for column in table.columns],
        fontsize="small",
    )
    axis.set_ylabel("percent")
    axis.set_title(table.title, fontsize="medium")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(fontsize="small", ncols=2)
    return figure
