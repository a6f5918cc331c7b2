"""Class mAP against its definition, with ties broken against us."""

import numpy as np
import pytest

from training.evaluation.retrieval import class_map, cosines


def test_cosines_are_those_of_the_definition() -> None:
    draw = np.random.default_rng(0)
    queries, items = draw.normal(size=(3, 5)), draw.normal(size=(4, 5))
    expected = [[q @ i / np.linalg.norm(q) / np.linalg.norm(i) for i in items] for q in queries]
    found = cosines(queries.astype(np.float32), items.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_average_precision_by_hand() -> None:
    """Relevant items at ranks 1 and 3: (1/1 + 2/3) / 2."""
    scores = np.array([[0.9, 0.8, 0.7, 0.1]])
    labels = np.array([0, 1, 0, 1])
    assert class_map(scores, np.array([0]), labels) == pytest.approx((1 + 2 / 3) / 2)


def test_classes_count_alike_however_many_queries_they_have() -> None:
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    queries, items = np.array([0, 0, 0, 1]), np.array([0, 1])
    assert class_map(scores, queries, items) == pytest.approx((1.0 + 0.5) / 2)


def test_ties_are_broken_against_us() -> None:
    scores = np.full((1, 4), 0.5)
    assert class_map(scores, np.array([0]), np.array([0, 1, 1, 1])) == pytest.approx(1 / 4)
    nearly = scores + np.array([[1e-13, 0, 0, 0]])  # the same codes summed in another order
    assert class_map(nearly, np.array([0]), np.array([0, 1, 1, 1])) == pytest.approx(1 / 4)


def test_a_random_order_is_at_chance() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(1200) % 12
    scores = draw.random((60, 1200))
    assert class_map(scores, np.arange(60) % 12, labels) == pytest.approx(1 / 12, abs=0.01)
