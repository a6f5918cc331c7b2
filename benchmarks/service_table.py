"""The figures of a contender under a load, and their line in the table."""

import statistics
from typing import NamedTuple

import numpy as np

from benchmarks.load import Load


class Measured(NamedTuple):
    """One contender under one load, over all rounds."""

    per_second: float
    p50: float  # seconds
    p99: float
    processor: float  # seconds a request
    num_failed: int


def measured(rounds: list[tuple[Load, float]]) -> Measured:
    """Return the figures of one contender under one load."""
    seconds = sorted(s for load, _ in rounds for s in load.answered(200))
    num_shots = sum(len(load.shots) for load, _ in rounds)
    return Measured(
        statistics.median(load.per_second for load, _ in rounds),
        quantile(seconds, 0.5),
        quantile(seconds, 0.99),
        statistics.median(spent / len(load.shots) for load, spent in rounds),
        num_shots - len(seconds),
    )


def bare_measured(rounds: list[tuple[list[float], float]]) -> Measured:
    """Return the figures of the bare network."""
    seconds = sorted(s for took, _ in rounds for s in took)
    return Measured(
        statistics.median(len(took) / sum(took) for took, _ in rounds),
        quantile(seconds, 0.5),
        quantile(seconds, 0.99),
        statistics.median(processor for _, processor in rounds),
        0,
    )


def quantile(rising: list[float], share: float) -> float:
    """Return the value below which so large a share lies."""
    return float(np.quantile(rising, share)) if rising else float("nan")


HEAD = (
    "| | clients | served a second | p50 | p99 | processor a request | bare / it | failed |",
    "|---|---|---|---|---|---|---|---|",
)


def row(name: str, clients: int, own: Measured, bare: Measured) -> str:
    """Return a line of the table."""
    return (
        f"| {name} | {clients} | {own.per_second:.1f} | {1000 * own.p50:.1f} ms | "
        f"{1000 * own.p99:.1f} ms | {1000 * own.processor:.2f} ms | "
        f"{bare.processor / own.processor:.2f} | {own.num_failed} |"
    )
