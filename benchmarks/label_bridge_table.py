"""The report of the label bridge's benchmark, and what it is made of.

Figures come in a list of one a run: all folds with the first seed, all with the next, and so on.
Shape letters: S seeds, F folds.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = ("text > picture", "text > sound", "picture > sound", "sound > picture")
SPOKEN = ("said > picture", "said > sound")  # of some classes, in sentences without a template
KINDS = ("unseen", "seen")
OURS = "ours"


class Figures(NamedTuple):
    """Of one direction."""

    class_map: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float


class OneList(NamedTuple):
    """Of a list of pictures and sounds, asked for classes that are both seen and heard."""

    class_map: float
    pictures_in_top_10: float  # percent
    pictures_in_list: float  # percent: what a list in a random order has


class Found(NamedTuple):
    """What all runs found."""

    figures: dict[tuple[str, str, str], list[Figures]]  # by kind of classes, way and direction
    lists: dict[tuple[str, str], list[OneList]]  # by kind and way
    overlaps: dict[tuple[str, str], list[float]]  # by kind and pair of modalities, 0 to 1

    def class_maps(self, kind: str, way: str, directions: Sequence[str]) -> NDArray[np.float64]:
        """Return ``[directions, S * F]``."""
        return np.array([[f.class_map for f in self.figures[kind, way, d]] for d in directions])


def report(found: Found, *, seeds: int, codes: int) -> Iterator[str]:
    """Yield the tables."""
    ways = list(dict.fromkeys(way for _, way, _ in found.figures))
    folds = len(found.lists["unseen", OURS]) // seeds
    yield "# Open vocabulary: codes beside the label bridge"
    yield ""
    yield f"`python -m benchmarks.label_bridge --seeds {seeds}`: {folds} folds of classes, {codes}"
    yield "codes in each of two codebooks; percent, mean ± standard error over folds (of each the"
    yield "mean over seeds); mAP is the mean over classes, ties against us."
    for kind in KINDS:
        yield from _section(f"{kind.capitalize()} classes, mAP")
        yield from _maps(found, ways, kind, DIRECTIONS, seeds)
        yield from _section(
            f"{kind.capitalize()} classes, mAP, asked as people would (`benchmarks/said.py`)"
        )
        yield from _maps(found, ways, kind, SPOKEN, seeds)
        yield from _section(f"{kind.capitalize()} classes, R@1 / R@5 / R@10 / median rank")
        yield from _header(DIRECTIONS)
        for way in ways:
            means = [np.mean(found.figures[kind, way, d], 0)[1:] for d in DIRECTIONS]
            yield _row(way, (" / ".join(f"{value:.0f}" for value in own) for own in means))
    yield from _section("Pictures and sounds in one list")
    yield "Sentences about classes that are both seen and heard, asked of both kinds at once."
    for kind in KINDS:
        yield ""
        yield from _header(
            ("mAP", "pictures in the first ten", "pictures in the list"), f"{kind} classes"
        )
        for way in ways:
            columns = np.array(found.lists[kind, way]).T
            yield _row(way, (_over_folds(column, seeds) for column in columns))
    if seeds > 1:
        yield from _section(f"Ours, mAP: {seeds} seeds, mean ± standard error of the folds' means")
        yield from _header((*DIRECTIONS, *SPOKEN))
        for kind in KINDS:
            maps = found.class_maps(kind, OURS, (*DIRECTIONS, *SPOKEN))
            yield _row(kind, (_cell(own.reshape(seeds, -1).mean(1)) for own in maps))
    yield from _section("Overlap of the code histograms of a class that is seen and heard, of 100")
    pairs = list(dict.fromkeys(pair for _, pair in found.overlaps))
    yield from _header(pairs)
    for kind in KINDS:
        overlaps = (100 * np.array(found.overlaps[kind, pair]) for pair in pairs)
        yield _row(kind, (_over_folds(own, seeds) for own in overlaps))


def _maps(
    found: Found, ways: Sequence[str], kind: str, directions: Sequence[str], seeds: int
) -> Iterator[str]:
    yield from _header((*directions, "mean"))
    for way in ways:
        own = found.class_maps(kind, way, directions)
        yield _row(way, (_over_folds(row, seeds) for row in (*own, own.mean(0))))


def _section(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _header(columns: Sequence[str], first: str = "") -> Iterator[str]:
    yield f"| {first} | {' | '.join(columns)} |"
    yield "|---|" + "---:|" * len(columns)


def _row(name: str, cells: Iterator[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _over_folds(values: NDArray[np.float64], seeds: int) -> str:
    return _cell(values.reshape(seeds, -1).mean(0))


def _cell(values: NDArray[np.float64]) -> str:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{values.mean():.1f} ± {error:.1f}"
