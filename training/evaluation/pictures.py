"""Tables and codebooks as bars."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model.modality import Modality
from training.evaluation.figures import Figures
from training.evaluation.meanings import Code, Meaning
from training.evaluation.paper import PaperRow
from training.evaluation.results import probe_table
from training.evaluation.tables import Table
from training.evaluation.tasks import Suite
from training.evaluation.vocabulary import LayerVocabulary

COLOURS = {
    Modality.AUDIO: "tab:orange",
    Modality.VIDEO: "tab:blue",
    Modality.TEXT: "tab:green",
}

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
    """Return a group of bars per column of ``table``, one bar per row, with standard errors."""
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


def write_codebooks(
    found: Mapping[Code, Meaning], layers: Sequence[LayerVocabulary], path: Path
) -> None:
    """Draw for each layer which codes are chosen, by modality, and what pairs of modalities share.

    Args:
        found: The codes in use.
        layers: The state of each codebook on paired clips.
        path: Of the PNG.
    """
    figure = Figure(figsize=(12, 3.2 * len(layers)), layout="constrained")
    axes = figure.subplots(len(layers), 2, squeeze=False, width_ratios=(3, 1))
    for depth, (layer, (usage, shared)) in enumerate(zip(layers, axes, strict=True), start=1):
        _draw_usage(usage, [own.steps for code, own in found.items() if code.layer == depth])
        usage.set_title(
            f"layer {depth}; on paired clips {layer.codes_used} codes in use, perplexity "
            f"{layer.perplexity:.1f}, near-duplicates {layer.near_duplicates:.0%}",
            fontsize="medium",
        )
        pairs = range(len(layer.overlap))
        shared.barh(pairs, layer.overlap.values(), 0.4, color="0.3", label="of one clip")
        chance = [place + 0.4 for place in pairs]
        shared.barh(
            chance, layer.overlap_unpaired.values(), 0.4, color="0.75", label="of two clips"
        )
        shared.set_yticks(pairs, list(layer.overlap), fontsize="small")
        shared.invert_yaxis()  # read as the legend is
        shared.set_xlim(0, 1)
        shared.set_xlabel("shared part, of 1")
        shared.set_title("overlap of code histograms", fontsize="medium")
        shared.legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def _draw_usage(axis: Axes, steps: Sequence[Counter[Modality]]) -> None:
    """Stack the shares of each modality's steps, the most chosen code first."""
    totals = sum(steps, Counter[Modality]())
    shares = [{m: own[m] / totals[m] for m in totals} for own in steps]
    shares.sort(key=lambda own: -sum(own.values()))
    bottom = [0.0] * len(shares)
    for m in sorted(totals):
        heights = [100 * own[m] for own in shares]
        axis.bar(range(len(shares)), heights, 1.0, bottom=bottom, color=COLOURS[m], label=m)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axis.set_ylim(0, 1.05 * max(bottom, default=1.0))
    axis.set_xlabel("codes, the most often chosen first")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("percent of its modality's steps, stacked")
    axis.legend(fontsize="x-small")
