"""Metrics by hand and by loops."""

import pytest
import torch

from training.evaluation.metrics import (
    accuracy,
    batched_precision_recall,
    mean_average_precision,
    precision_recall,
)


def test_accuracy_is_the_share_of_clips_that_are_right() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [1.0, 2.0]])
    assert accuracy(logits, torch.tensor([0, 1, 1, 1])) == 0.75


def test_precision_and_recall_count_cells_of_all_clips_together() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 10, 5), torch.rand(7, 10, 5) < 0.3
    right = chosen = true = 0
    for logit, label in zip(logits.flatten().tolist(), labels.flatten().tolist(), strict=True):
        is_chosen = 1 / (1 + 2.718281828459045**-logit) > 0.5
        right += is_chosen and label
        chosen += is_chosen
        true += label
    found = precision_recall(logits, labels)
    assert found.precision == pytest.approx(right / chosen)
    assert found.recall == pytest.approx(right / true)
    mean = 2 / (chosen / right + true / right)
    assert found.f1 == pytest.approx(mean)


def test_nothing_predicted_is_nothing_right() -> None:
    found = precision_recall(torch.full((2, 10, 3), -1.0), torch.ones(2, 10, 3, dtype=torch.bool))
    assert (found.precision, found.recall, found.f1) == (0, 0, 0)


def test_the_published_average_is_over_batches_weighed_by_their_clips() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 10, 5), torch.rand(7, 10, 5) < 0.3
    parts = [precision_recall(logits[a:b], labels[a:b]) for a, b in ((0, 3), (3, 6), (6, 7))]
    found = batched_precision_recall(logits, labels, batch=3)
    for name in ("precision", "recall"):
        values = [getattr(part, name) for part in parts]
        assert getattr(found, name) == pytest.approx(
            (3 * values[0] + 3 * values[1] + values[2]) / 7
        )
    assert found != precision_recall(logits, labels)


def test_average_precision_is_the_mean_over_classes_of_precision_at_each_hit() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 10, 5), torch.rand(7, 10, 5) < 0.3
    labels[..., 4] = False  # never happens
    by_class = []
    for c in range(4):
        pairs = zip(logits[..., c].flatten().tolist(), labels[..., c].flatten(), strict=True)
        ranked = sorted(pairs, key=lambda pair: -pair[0])
        at_hits = [
            sum(bool(hit) for _, hit in ranked[: n + 1]) / (n + 1)
            for n, (_, right) in enumerate(ranked)
            if right
        ]
        by_class.append(sum(at_hits) / len(at_hits))
    assert mean_average_precision(logits, labels) == pytest.approx(sum(by_class) / 4)


def test_seconds_of_equal_logits_are_taken_in_together() -> None:
    """All equal: precision is the share of what is true, whatever a sort would put first."""
    labels = torch.tensor([True, True, False, False, False])[None, :, None]
    assert mean_average_precision(torch.zeros(1, 5, 1), labels) == pytest.approx(0.4)
