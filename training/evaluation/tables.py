"""Tables of figures with their errors, as text, Markdown or CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev
from typing import Literal, NamedTuple

Format = Literal["text", "markdown", "csv"]
EMPTY = "-"


class Cell(NamedTuple):
    """A figure over several runs."""

    mean: float
    error: float | None  # standard error; None of a single run, and of the paper's figures

    def shown(self, digits: int) -> str:
        """Return it for people, such as ``59.1 ± 0.4``."""
        error = "" if self.error is None else f" ± {self.error:.{digits}f}"
        return f"{self.mean:.{digits}f}{error}"


@dataclass(frozen=True)
class Table:
    """Named rows of cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]  # name and cells, None where unknown
    digits: int = 1  # after the point


def over_runs(values: Sequence[float]) -> Cell | None:
    """Return mean and standard error of one figure of several runs; None of none."""
    if not values:
        return None
    error = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
    return Cell(mean(values), error)


def render(table: Table, form: Format) -> str:
    """Return ``table`` as text for people, as Markdown or as CSV (mean and error apart)."""
    if form == "csv":
        return _csv(table)
    header = ["", *table.columns]
    lines = [header] + [
        [name, *(EMPTY if cell is None else cell.shown(table.digits) for cell in cells)]
        for name, cells in table.rows
    ]
    if form == "markdown":
        rule = "|---|" + "---:|" * len(table.columns)
        drawn = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([f"**{table.title}**", "", drawn[0], rule, *drawn[1:]])
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    drawn = [
        line[0].ljust(widths[0])
        + "".join(
            "  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)
        )
        for line in lines
    ]
    return "\n".join([table.title, *drawn])


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", "column", "mean", "standard error"])
    for name, cells in table.rows:
        for column, cell in zip(table.columns, cells, strict=True):
            if cell is not None:
                writer.writerow([table.title, name, column, cell.mean, cell.error])
    return text.getvalue().rstrip("\n")
