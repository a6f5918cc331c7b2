"""Codes used and perplexity of a batch, against counting."""

import math

import pytest
import torch

from model.modality import Modality
from training.usage import codebook_usage

AUDIO, TEXT = Modality.AUDIO, Modality.TEXT


def test_codes_are_counted_over_all_modalities_and_padding_is_not() -> None:
    codes = {AUDIO: torch.tensor([[[0, 0, 1, 7]]]), TEXT: torch.tensor([[[1, 5, 5, 5]]])}
    masks = {AUDIO: torch.ones(1, 4, dtype=torch.bool), TEXT: torch.tensor([[True, False] * 2])}
    usage = codebook_usage(codes, masks, 8)
    counts = [2, 2, 1, 1]  # codes 0, 1, 7, 5
    entropy = -sum(n / 6 * math.log(n / 6) for n in counts)
    assert usage["codes_used"] == 4
    assert usage["perplexity"].item() == pytest.approx(math.exp(entropy))


def test_two_codebooks_give_their_mean() -> None:
    codes = {AUDIO: torch.tensor([[[0, 1, 2, 3], [5, 5, 5, 5]]])}
    usage = codebook_usage(codes, {AUDIO: torch.ones(1, 4, dtype=torch.bool)}, 6)
    assert usage["codes_used"] == 2.5
    assert usage["perplexity"].item() == pytest.approx(2.5)


def test_a_batch_of_padding_uses_nothing() -> None:
    codes = {AUDIO: torch.zeros(2, 1, 3, dtype=torch.int64)}
    usage = codebook_usage(codes, {AUDIO: torch.zeros(2, 3, dtype=torch.bool)}, 6)
    assert usage["codes_used"] == 0
    assert usage["perplexity"].isfinite()
