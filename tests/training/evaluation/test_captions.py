"""Retrieval of clips and sentences, on codes that are known."""

import numpy as np
import pytest
import torch

from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from tests.training.evaluation.benchmark_maker import MadeUpBenchmark, MadeUpCaptions
from training.evaluation.captions import CaptionRetrieval, item_vectors
from training.evaluation.encoding import encode_features


def test_a_sentence_finds_every_clip_that_it_describes(coded: SRCID) -> None:
    retrieval = CaptionRetrieval(coded, MadeUpCaptions(), MadeUpBenchmark().words)
    assert retrieval.relevant.shape == (12, 6)
    assert retrieval.relevant.sum(1).tolist() == [1, 2, 1, 2, *[1] * 8]
    assert retrieval.relevant.sum(0).tolist() == [3, 3, 2, 2, 2, 2]


def test_an_items_vector_is_the_mean_of_what_its_codes_stand_for(coded: SRCID) -> None:
    torch.manual_seed(2)
    x = [torch.randn(3, 8), torch.randn(2, 8)]
    items = list(encode_features(coded, Modality.AUDIO, x))
    found = item_vectors(coded, items, (0, 1), "vectors")
    for own, vector in zip(x, found, strict=True):
        layers = coded({Modality.AUDIO: own[None]}).layers
        means = [out.quantized[Modality.AUDIO][0].mean(0) for out in layers]
        np.testing.assert_allclose(vector, torch.cat(means).detach().numpy(), atol=1e-6)


def test_mean_first_quantizes_the_time_mean(coded: SRCID) -> None:
    items = list(encode_features(coded, Modality.AUDIO, [torch.randn(3, 8)]))
    table = coded.stages[1].quantizer.tables()[0]
    mean = items[0].general[1].mean(0)
    nearest = table[(table - mean).square().sum(1).argmin()]
    found = item_vectors(coded, items, (1,), "mean first")
    np.testing.assert_allclose(found[0], nearest.numpy(), atol=1e-6)


def test_the_index_counts_which_codes_occur(coded: SRCID) -> None:
    items = list(encode_features(coded, Modality.AUDIO, [torch.randn(4, 8)]))
    found = item_vectors(coded, items, (0, 1), "index")[0]
    wanted = np.zeros((2, 32))
    for row, codes in enumerate(items[0].codes.tolist()):
        for code in codes:
            wanted[row, code] += 1
    np.testing.assert_array_equal(found, wanted.ravel())
    np.testing.assert_array_equal(item_vectors(coded, items, (1,), "index")[0], wanted[1])


def test_sentences_that_are_their_clips_are_found_first(
    coded: SRCID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that encodes words as it encodes sound: each sentence has its clip's codes."""
    layer = coded.stages[0]
    layer.general[Modality.TEXT] = layer.general[Modality.AUDIO]
    coded.stems = torch.nn.ModuleDict()
    torch.manual_seed(3)
    clips = {n: torch.randn(4, 8) for n in range(6)}
    monkeypatch.setattr(MadeUpCaptions, "features", lambda _, n: clips[n])
    monkeypatch.setattr(MadeUpCaptions, "captions", lambda _, n: (str(n),))
    words = [clips[n] for n in range(6)]
    retrieval = CaptionRetrieval(coded, MadeUpCaptions(), lambda _: words)
    for kind in ("vectors", "mean first", "index"):
        for figures in retrieval.figures((0,), kind).values():
            assert figures.recall_at_5 == pytest.approx(100, abs=20)
    assert retrieval.figures((0,), "vectors")["text>clip"].recall_at_1 == 100


def test_a_clip_without_a_caption_is_named(coded: SRCID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MadeUpCaptions, "captions", lambda _, n: () if n == 4 else ("a",))
    with pytest.raises(DataError, match="told: clip 4 has no caption"):
        CaptionRetrieval(coded, MadeUpCaptions(), MadeUpBenchmark().words)
