"""Clip-level InfoNCE against a loop."""

import math
from itertools import combinations

import pytest
import torch

from model.modality import Modality
from training.losses.infonce import clip_infonce

from .conftest import B, Paired


def test_it_is_symmetric_infonce_of_time_means(paired: Paired) -> None:
    total = 0.0
    for m, n in combinations(Modality, 2):
        clips = [b for b in range(B) if paired.masks[m][b].any() and paired.masks[n][b].any()]
        mean = {(k, b): paired.z[k][b][paired.masks[k][b]].mean(0) for k in (m, n) for b in clips}
        scores = {
            (i, j): float(torch.cosine_similarity(mean[m, i], mean[n, j], dim=0)) / 0.1
            for i in clips
            for j in clips
        }
        for i in clips:
            row = math.log(sum(math.exp(scores[i, j]) for j in clips))
            column = math.log(sum(math.exp(scores[j, i]) for j in clips))
            total += ((row + column) / 2 - scores[i, i]) / len(clips)
    ours = clip_infonce(paired.z, paired.masks, temperature=0.1)
    assert ours.item() == pytest.approx(total, rel=1e-9)


def test_a_batch_without_pairs_adds_nothing(paired: Paired) -> None:
    for mask in paired.masks.values():
        mask[:] = False
    assert clip_infonce(paired.z, paired.masks, temperature=0.1).item() == 0.0


def test_targets_say_how_far_another_clip_is_right(paired: Paired) -> None:
    """Against the definition: the cross-entropy with the softmax of the targets, both ways."""
    targets = torch.randn(B, B, dtype=torch.float64)
    targets = targets + targets.T
    others = {m: torch.randn_like(z) for m, z in paired.z.items()}
    total = 0.0
    for m, n in combinations(Modality, 2):
        clips = [b for b in range(B) if paired.masks[m][b].any() and paired.masks[n][b].any()]
        one = [paired.z[m][b][paired.masks[m][b]].mean(0) for b in clips]
        other = [others[n][b][paired.masks[n][b]].mean(0) for b in clips]
        scores = torch.tensor(
            [[float(torch.cosine_similarity(x, y, dim=0)) / 0.1 for y in other] for x in one]
        )
        right = targets[clips][:, clips].softmax(1)
        for direction in (scores, scores.T):
            total += float(-(right * direction.log_softmax(1)).sum(1).mean()) / 2
    found = clip_infonce(paired.z, paired.masks, temperature=0.1, others=others, targets=targets)
    assert found.item() == pytest.approx(total, rel=1e-5)
