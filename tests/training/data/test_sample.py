"""Batches: padding, masks, and the two layouts of text."""

import pytest
import torch

from model.config import SRCIDConfig
from model.modality import Modality
from training.config import DataConfig
from training.data.sample import Sample, collate, spread


def sample(words: int | None = 3, seconds: int = 4) -> Sample:
    features = {
        Modality.AUDIO: torch.full((seconds, 8), 1.0),
        Modality.VIDEO: torch.full((seconds, 8), 2.0),
    }
    if words is not None:
        features[Modality.TEXT] = torch.arange(1.0, words + 1)[:, None].expand(words, 8)
    return Sample(features, 7)


def test_what_is_short_is_padded_and_masked_what_is_long_is_cut(tiny_config: SRCIDConfig) -> None:
    batch = collate([sample(seconds=2), sample(seconds=9)], tiny_config, DataConfig(steps=5))
    audio, mask = batch.features[Modality.AUDIO], batch.masks[Modality.AUDIO]
    assert audio.shape == (2, 5, 8)
    assert mask.tolist() == [[True, True, False, False, False], [True] * 5]
    assert audio[~mask].abs().sum() == 0
    assert audio[mask].min() == 1
    assert batch.labels.tolist() == [7, 7]


def test_a_modality_that_a_clip_lacks_is_masked_whole(tiny_config: SRCIDConfig) -> None:
    batch = collate([sample(words=None), sample()], tiny_config, DataConfig(steps=5))
    assert batch.masks[Modality.TEXT].sum(1).tolist() == [0, 3]
    assert batch.masks[Modality.AUDIO].all(1).tolist() == [False, False]


def test_spread_text_covers_all_steps_in_order(tiny_config: SRCIDConfig) -> None:
    data = DataConfig(steps=5, text_layout="spread")
    for words in (1, 3, 5, 12):
        batch = collate([sample(words=words)], tiny_config, data)
        text = batch.features[Modality.TEXT][0, :, 0]
        assert batch.masks[Modality.TEXT].all()
        assert (text.diff() >= 0).all()
        assert len(text.unique()) == min(words, 5)


def test_words_are_spread_evenly() -> None:
    words = torch.arange(3.0)[:, None]
    assert spread(words, 6).flatten().tolist() == [0, 0, 1, 1, 2, 2]


def test_no_word_of_a_long_sentence_is_lost() -> None:
    """Each step is the mean of the words that fall on it: 7 words on 3 steps are 3, 2 and 2."""
    words = torch.tensor([1.0, 2, 3, 10, 20, 100, 200])[:, None]
    assert spread(words, 3).flatten().tolist() == [2, 15, 150]


@pytest.mark.parametrize(("count", "steps"), [(12, 5), (11, 10), (23, 10), (64, 10), (10, 10)])
def test_every_word_weighs_in_once(count: int, steps: int) -> None:
    weights = spread(torch.eye(count), steps)  # of each word in each step
    assert torch.allclose(weights.sum(1), torch.ones(steps))
    assert ((weights > 0).sum(0) == 1).all()
    assert ((weights > 0).sum(1) - count / steps).abs().max() < 1


@pytest.mark.parametrize("masked", [True, False])
def test_padded_text_counts_as_words_only_where_published(
    tiny_config: SRCIDConfig, masked: bool
) -> None:
    batch = collate([sample()], tiny_config, DataConfig(steps=5, text_mask=masked))
    assert batch.masks[Modality.TEXT].sum().item() == (3 if masked else 5)
