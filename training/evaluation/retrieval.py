"""Retrieval figures: does a query rank the items of its class before the others?"""

import numpy as np
from numpy.typing import NDArray


def cosines(queries: NDArray[np.float32], items: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine ``[Nq, Ni]`` of every query ``[Nq, D]`` with every item ``[Ni, D]``."""
    left = queries / np.linalg.norm(queries, axis=1, keepdims=True).clip(1e-12)
    right = items / np.linalg.norm(items, axis=1, keepdims=True).clip(1e-12)
    return np.asarray(left.astype(np.float64) @ right.astype(np.float64).T)


def class_map(
    scores: NDArray[np.float64], query_labels: NDArray[np.int64], item_labels: NDArray[np.int64]
) -> float:
    """Return the mean over classes of the mean average precision of that class's queries.

    Codes make exact ties common. They are broken against us: among items of one score, those of
    other classes come first.

    Args:
        scores: ``[Nq, Ni]``, higher is nearer.
        query_labels: ``[Nq]`` class of each query.
        item_labels: ``[Ni]`` class of each item; a query's relevant items share its class.
    """
    relevant = query_labels[:, None] == item_labels[None]  # [Nq, Ni]
    # Equal codes may differ in the last bits of their cosines; what differs by less is a tie.
    order = np.lexsort((relevant, -scores.round(9)), axis=1)
    hits = np.take_along_axis(relevant, order, 1)
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(1) / hits.sum(1).clip(1)
    return float(np.mean([average[query_labels == c].mean() for c in np.unique(query_labels)]))
