"""Ranks and recall against all orders of what is equal, one by one."""

from itertools import permutations

import numpy as np
import pytest

from training.evaluation.ranks import Place, rank_figures


def by_enumeration(above: int, tied: int, right: int, k: int) -> tuple[float, float]:
    """Mean rank of the first right item, and how often it is among the first k."""
    items = [True] * right + [False] * (tied - right)
    firsts = [above + 1 + order.index(True) for order in permutations(items)]
    return float(np.mean(firsts)), float(np.mean([first <= k for first in firsts]))


@pytest.mark.parametrize("above", [0, 1, 3])
@pytest.mark.parametrize(("tied", "right"), [(1, 1), (2, 1), (4, 1), (5, 2), (6, 3), (3, 3)])
@pytest.mark.parametrize("k", [1, 2, 4, 20])
def test_ties_count_as_the_mean_over_all_orders(above: int, tied: int, right: int, k: int) -> None:
    rank, within = by_enumeration(above, tied, right, k)
    place = Place(above, tied, right)
    assert place.expected_rank == pytest.approx(rank)
    assert place.chance_within(k) == pytest.approx(within)


def test_without_ties_ranks_are_those_of_a_sort() -> None:
    draw = np.random.default_rng(0)
    scores = draw.permuted(np.arange(20 * 30, dtype=float).reshape(20, 30), axis=1)
    relevant = np.zeros((20, 30), bool)
    relevant[np.arange(20), draw.integers(30, size=20)] = True
    ranks = [1 + int((row > row[own][0]).sum()) for row, own in zip(scores, relevant, strict=True)]
    found = rank_figures(scores, relevant)
    assert found.median_rank == np.median(ranks)
    assert found.mean_rank == pytest.approx(np.mean(ranks))
    for k, value in ((1, found.recall_at_1), (5, found.recall_at_5), (10, found.recall_at_10)):
        assert value == pytest.approx(100 * np.mean(np.array(ranks) <= k))


def test_of_several_relevant_items_the_nearest_counts() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.8]])
    found = rank_figures(scores, np.array([[True, False, False, True]]))
    assert (found.mean_rank, found.recall_at_1, found.recall_at_5) == (2, 0, 100)


def test_equal_codes_are_tied_though_their_cosines_differ_in_the_last_bit() -> None:
    scores = np.array([[0.5, 0.5 + 1e-13]])
    assert rank_figures(scores, np.array([[True, False]])).mean_rank == 1.5


def test_a_collapsed_codebook_finds_by_chance() -> None:
    found = rank_figures(np.ones((50, 50)), np.eye(50, dtype=bool))
    assert found.recall_at_10 == pytest.approx(20)
    assert found.median_rank == 25.5
