"""The curves of a run as pictures."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.run_log import LOG, VALIDATION

LOSSES, CODEBOOKS, VALIDATED = "losses.png", "codebooks.png", "validation.png"
POINTS = 500  # of a curve: a longer one is drawn by means over equal stretches
NOT_TERMS = ("step", "epoch", "layers")
COLOURS = {"audio": "tab:orange", "video": "tab:blue", "text": "tab:green"}
OTHER_COLOURS = ("black", "tab:red", "tab:purple", "tab:brown", "tab:cyan", "tab:olive")
STYLES = {"layer1": "-", "layer2": "--"}
UNITS = {
    "total": "weighted sum of the terms",
    "reconstruction": "mean squared error",
    "commitment": "mean squared error, weighted",
    "specific_variance": "mean over dimensions",
    "mi": "nats a step",
    "club_fit": "nats a step",
    "cpc": "nats",
    "cmcm": "nats",
    "infonce": "nats",
    "codes_used": "codes in a batch",
    "perplexity": "codes in a batch",
    "gradient_norm": "before clipping",
    "validation": "class mAP",
}
LOGARITHMIC = ("gradient_norm",)  # of modules that differ by orders of magnitude


def write_plots(folder: Path) -> list[Path]:
    """Draw ``log.jsonl`` and ``validation.jsonl`` of a run folder; return the pictures written.

    ``losses.png`` has a panel for each kind of term, ``codebooks.png`` for codes used and
    perplexity of each batch, ``validation.png`` for the figures of each epoch, if there are any.
    """
    records = _read(folder / LOG)
    validated = _read(folder / VALIDATION)
    names = sorted({name for record in records for name in record} - set(NOT_TERMS), key=_order)
    usage = [name for name in names if name.endswith(("/codes_used", "/perplexity"))]
    losses = [name for name in names if name not in usage]
    figures = sorted({name for record in validated for name in record} - set(NOT_TERMS))
    written = []
    for file, chosen, lines in (
        (LOSSES, losses, records),
        (CODEBOOKS, usage, records),
        (VALIDATED, figures, validated),
    ):
        if chosen:
            _draw(chosen, lines).savefig(folder / file, dpi=110)
            written.append(folder / file)
    return written


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _draw(names: Sequence[str], records: Sequence[dict[str, Any]]) -> Figure:
    """Return a figure with a panel for each kind of term."""
    panels: dict[str, list[str]] = {}
    for name in names:
        panels.setdefault(_kind(name), []).append(name)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5 * columns, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (kind, members) in zip(axes, panels.items(), strict=False):
        axis.set_prop_cycle(color=OTHER_COLOURS)
        for name in members:
            _curve(axis, name, records)
        axis.set_title(kind.replace("_", " "))
        axis.set_xlabel("step")
        axis.set_ylabel(UNITS.get(kind, ""))
        axis.set_yscale("log" if kind in LOGARITHMIC else "linear")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        _mark_opening(axis, records)
        if len(axis.lines) > 1:
            axis.legend(fontsize="x-small")
    for axis in axes[len(panels) :]:
        axis.axis("off")
    return figure


def _order(name: str) -> tuple[bool, str]:
    """Sort the total before its terms."""
    return name != "total", name


def _kind(name: str) -> str:
    """Return the panel of a term: ``mi`` for ``layer1/mi/audio``; one for all of validation."""
    parts = name.split("/")
    if "->" in name or name == "mean":
        return "validation"
    return parts[1] if parts[0].startswith("layer") else parts[0]


def _curve(axis: Axes, name: str, records: Sequence[dict[str, Any]]) -> None:
    points = [(record["step"], record[name]) for record in records if name in record]
    steps, values = _thinned(np.array(points, dtype=np.float64))
    parts = name.split("/")
    label = " ".join(part for part in parts if part != _kind(name)) or name
    label = label.replace("layer", "layer ")
    axis.plot(
        steps,
        values,
        STYLES.get(parts[0], "-"),
        marker="o" if len(steps) < 5 else None,
        markersize=3,
        linewidth=1.2,
        color=COLOURS.get(parts[-1]),
        label=label,
    )


def _thinned(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return steps and values ``[n]`` of ``points`` ``[N, 2]``, means of stretches if too many."""
    stretches = np.array_split(points, min(len(points), POINTS))
    means = np.array([stretch.mean(0) for stretch in stretches])
    return means[:, 0], means[:, 1]


def _mark_opening(axis: Axes, records: Sequence[dict[str, Any]]) -> None:
    """Draw a line where layer 2 joined."""
    layers = [record.get("layers", 1) for record in records]
    for n, (before, now) in enumerate(pairwise(layers), start=1):
        if now > before:
            step = records[n]["step"]
            axis.axvline(step, color="grey", linestyle=":", linewidth=1, label="layer 2 joins")
