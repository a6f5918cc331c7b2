"""What a query is compared by: the vectors of its codes, or those that it had before."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import SRCIDConfig
from model.encoder import Encoder
from model.modality import Modality
from model.srcid import SRCID


def encoder_of(config: SRCIDConfig) -> Encoder:
    torch.manual_seed(0)
    model = SRCID(config).eval()
    for layer in model.stages:
        layer.quantizer.tables().normal_()
    return Encoder(model, {}, fingerprint="x")


def make_items(config: SRCIDConfig) -> list[tuple[Modality, Tensor]]:
    """Return items of several lengths, one of them longer than a piece, in mixed order."""
    draw = torch.Generator().manual_seed(0)
    return [
        (m, torch.randn(length, *config.modalities[m].feature_shape, generator=draw))
        for length in (3, 1, config.max_steps + 4)
        for m in Modality
    ]


def test_by_codes_a_query_is_what_its_codes_stand_for(tiny_config: SRCIDConfig) -> None:
    encoder = encoder_of(tiny_config)
    for own in encoder.quantize(make_items(tiny_config)):
        for layer in (1, 2):
            expected = encoder.vocabulary.steps(own.codes, [layer]).mean(0)
            np.testing.assert_allclose(own.query[layer - 1], expected, rtol=1e-6)


@torch.inference_mode()
def test_by_general_vectors_a_query_is_their_mean_over_all_steps(tiny_config: SRCIDConfig) -> None:
    config = tiny_config.model_copy(update={"queries": "general"})
    encoder = encoder_of(config)
    items = make_items(config)
    for (m, x), own in zip(items, encoder.quantize(items), strict=True):
        pieces = [x] if m is Modality.TEXT else list(x.split(config.max_steps))
        found = [encoder.model({m: piece[None]}).layers for piece in pieces]
        for layer in (0, 1):
            expected = torch.cat([layers[layer].general[m][0] for layers in found]).mean(0)
            np.testing.assert_allclose(own.query[layer], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("queries", ["codes", "general"])
def test_codes_do_not_depend_on_what_queries_are_compared_by(
    tiny_config: SRCIDConfig, queries: str
) -> None:
    encoder = encoder_of(tiny_config.model_copy(update={"queries": queries}))
    for (m, x), own in zip(items := make_items(tiny_config), encoder.quantize(items), strict=True):
        pieces = [x] if m is Modality.TEXT else list(x.split(tiny_config.max_steps))
        expected = [encoder.model.encode({m: piece[None]})[m][0] for piece in pieces]
        assert own.codes.dtype == np.int16
        assert own.codes.tolist() == torch.cat(expected, 1).tolist()
