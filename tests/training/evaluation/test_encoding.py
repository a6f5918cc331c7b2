"""Codes of a data set are those that each item has by itself."""

import pytest
import torch

from model.config import FSQConfig, RVQConfig, SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID
from training.evaluation.encoding import (
    BATCH,
    decode,
    encode_features,
    layer_choices,
    with_dropout,
)


def test_items_of_all_lengths_have_the_codes_that_they_have_alone(coded: SRCID) -> None:
    torch.manual_seed(1)
    items = [torch.randn(length, 8) for length in (1, 3, 4, 2) * (BATCH // 3)]
    for item, own in zip(items, encode_features(coded, Modality.AUDIO, items), strict=True):
        alone = coded({Modality.AUDIO: item[None]}).layers
        codes = torch.cat([out.codes[Modality.AUDIO][0] for out in alone])
        assert torch.equal(own.codes, codes)
        general = torch.stack([out.general[Modality.AUDIO][0] for out in alone])
        torch.testing.assert_close(own.general, general)


def test_long_media_is_cut_into_clips_of_training_and_a_sentence_is_not(coded: SRCID) -> None:
    torch.manual_seed(1)
    item = torch.randn(7, 8)
    whole, first, last = encode_features(coded, Modality.AUDIO, [item, item[:4], item[4:]])
    assert torch.equal(whole.codes, torch.cat([first.codes, last.codes], 1))
    sentence = next(encode_features(coded, Modality.TEXT, [item]))
    assert torch.equal(sentence.codes, coded.encode({Modality.TEXT: item[None]})[Modality.TEXT][0])


@pytest.mark.parametrize(
    "quantizer", [RVQConfig(codebook_size=8, stages=3), FSQConfig(levels=(4, 3)), None], ids=str
)
def test_codes_are_decoded_to_what_the_layers_quantized(
    tiny_config: SRCIDConfig, quantizer: RVQConfig | FSQConfig | None
) -> None:
    torch.manual_seed(0)
    chosen = {"quantizer": quantizer} if quantizer else {}
    model = SRCID(tiny_config.model_copy(update=chosen)).eval()
    x = torch.randn(1, 6, 8)
    layers = model({Modality.VIDEO: x}).layers
    codes = torch.cat([out.codes[Modality.VIDEO][0] for out in layers])
    for name, depths in layer_choices(model).items():
        table, rows = decode(model, codes, depths)
        wanted = torch.cat([layers[d].quantized[Modality.VIDEO][0] for d in depths], -1)
        torch.testing.assert_close(table[rows], wanted)
        assert len(table) == len(table.unique(dim=0)), name


def test_the_choices_are_each_layer_and_both(coded: SRCID, tiny_config: SRCIDConfig) -> None:
    assert layer_choices(coded) == {"1": (0,), "2": (1,), "both": (0, 1)}
    one = SRCID(tiny_config.model_copy(update={"num_layers": 1}))
    assert layer_choices(one) == {"1": (0,)}


def test_dropout_is_active_in_a_copy_alone(coded: SRCID) -> None:
    x = {Modality.AUDIO: torch.randn(8, 4, 8)}
    noisy = with_dropout(coded)
    assert not coded.training
    first, second = (noisy(x).layers[0].general[Modality.AUDIO] for _ in range(2))
    assert not torch.equal(first, second)
