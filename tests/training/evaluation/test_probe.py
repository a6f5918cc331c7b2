"""Probes against their formula, and on vectors that a line can tell apart."""

import pytest
import torch
from torch.nn import functional as F

from training.evaluation.probe import (
    ExpLogLoss,
    Probe,
    ProbeConfig,
    StepVectors,
    probe_epochs,
)


def test_a_clip_is_the_maximum_over_its_steps_between_two_linear_maps() -> None:
    torch.manual_seed(0)
    probe = Probe(6, 3, "classification")
    vectors = torch.randn(4, 5, 6)
    for clip, logits in zip(vectors, probe(StepVectors.of(vectors)), strict=True):
        hidden = torch.stack([probe.hidden.weight @ step + probe.hidden.bias for step in clip])
        largest = torch.stack([hidden[:, d].max() for d in range(6)])
        torch.testing.assert_close(logits, probe.head.weight @ largest + probe.head.bias)


def test_a_second_is_localised_by_itself() -> None:
    torch.manual_seed(0)
    probe = Probe(6, 3, "localisation")
    vectors = torch.randn(4, 5, 6)
    torch.testing.assert_close(probe(StepVectors.of(vectors)), probe.head(probe.hidden(vectors)))


@pytest.mark.parametrize("kind", ["classification", "localisation"])
def test_vectors_kept_once_give_the_same_logits(kind: str) -> None:
    torch.manual_seed(0)
    probe = Probe(6, 3, kind)
    table, rows = torch.randn(4, 6), torch.randint(4, (7, 5))
    once = probe(StepVectors(table, rows))
    torch.testing.assert_close(once, probe(StepVectors.of(table[rows])))


def test_the_second_term_of_localisation_is_its_formula() -> None:
    torch.manual_seed(0)
    loss = ExpLogLoss(4)
    loss.alpha.data = torch.rand(4)
    logits, labels = torch.randn(3, 2, 4), torch.rand(3, 2, 4) < 0.5
    total = torch.tensor(0.0)
    for row, label in zip(logits.reshape(-1, 4), labels.reshape(-1, 4), strict=True):
        for c in range(4):
            share = row[c].exp() / row.exp().sum()
            total = total - label[c] * share.log() * (-loss.alpha[c]).exp()
    torch.testing.assert_close(loss(logits, labels), total / 6)


def test_the_first_step_of_adam_is_that_of_the_loss() -> None:
    """Adam's first step moves each weight by the rate, against its gradient's sign."""
    torch.manual_seed(0)
    vectors, labels = torch.randn(6, 5, 4), torch.rand(6, 5, 3) < 0.4
    config = ProbeConfig(batch_size=6)
    probe = next(iter(fitted(vectors, labels, "localisation", config)))
    torch.manual_seed(config.seed)
    fresh = Probe(4, 3, "localisation")
    logits = fresh(StepVectors.of(vectors))
    loss = F.binary_cross_entropy_with_logits(logits, labels.float())
    (loss + ExpLogLoss(3)(logits, labels)).backward()
    for before, after in zip(fresh.parameters(), probe.parameters(), strict=True):
        assert before.grad is not None
        moved = before - config.lr * before.grad.sign()
        torch.testing.assert_close(after, moved, atol=1e-6, rtol=0)


def fitted(vectors, labels, kind, config, epochs=1, epoch_steps=None):
    return probe_epochs(
        StepVectors.of(vectors),
        labels,
        kind=kind,
        classes=3,
        epochs=epochs,
        epoch_steps=epoch_steps,
        config=config,
    )


def test_the_rate_halves_at_the_milestones_and_an_epoch_has_its_steps() -> None:
    """Each step of Adam on one constant gradient moves the bias by the rate."""
    vectors, labels = torch.zeros(4, 2, 4), torch.zeros(4, 2, 3, dtype=torch.bool)
    config = ProbeConfig(lr=1e-4, milestones=(1, 2), batch_size=2)
    biases = [
        float(probe.head.bias[0].detach())
        for probe in fitted(vectors, labels, "localisation", config, epochs=3, epoch_steps=5)
    ]
    moved = -torch.tensor(biases).diff()
    torch.testing.assert_close(moved, torch.tensor([2.5e-4, 1.25e-4]), rtol=0.02, atol=0)


def test_what_a_line_tells_apart_is_learned_and_a_round_has_every_clip_once() -> None:
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    vectors = 4 * F.one_hot(labels, 8)[:, None].float() + 0.1 * torch.randn(90, 5, 8)
    *_, probe = fitted(vectors, labels, "classification", ProbeConfig(lr=1e-2), epochs=20)
    assert (probe(StepVectors.of(vectors)).argmax(-1) == labels).all()
