"""What every backbone promises, run on each of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.backbones import BACKBONES, build_backbone
from model.backbones.base import Backbone
from model.errors import ConfigError, MediaError
from model.media import SAMPLE_RATE, Clip
from model.modality import Modality

TEXT = ("minilm", "bert", "-text")  # the endings of those whose steps are words
pytestmark = pytest.mark.usefixtures("paper_backbones")
RNG = np.random.default_rng(0)


def clip(seconds: float, frames_per_step: int = 1) -> Clip:
    steps = int(np.ceil(seconds))
    pixels = RNG.integers(0, 256, (steps, frames_per_step, 256, 300, 3), np.uint8)
    wave = RNG.uniform(-0.5, 0.5, int(seconds * SAMPLE_RATE)).astype(np.float32)
    return Clip(pixels, wave, seconds)


MEDIA: list[Clip | str] = [clip(1), clip(2.5), clip(1, 3)]
SENTENCES: list[Clip | str] = ["rain", "a dog barks at the helicopter", "über-loud, isn't it?"]


@pytest.fixture(scope="module", params=BACKBONES)
def backbone(request: pytest.FixtureRequest, paper_backbones: Path) -> Backbone:
    return build_backbone(request.param)


@pytest.fixture
def items(backbone: Backbone) -> list[Clip | str]:
    return SENTENCES if backbone.modality is Modality.TEXT else MEDIA


def test_features_have_the_declared_shape(backbone: Backbone, items: list[Clip | str]) -> None:
    for item in items:
        (features,) = backbone.extract([backbone.preprocess(item)])
        assert features.shape[1:] == backbone.feature_shape
        assert features.dtype == torch.float32
        assert features.isfinite().all()


@pytest.mark.parametrize(("seconds", "steps"), [(0.3, 1), (1, 1), (2, 2), (2.5, 3)])
@pytest.mark.parametrize("name", [name for name in BACKBONES if not name.endswith(TEXT)])
def test_a_second_is_a_step(name: str, seconds: float, steps: int) -> None:
    backbone = build_backbone(name)
    (features,) = backbone.extract([backbone.preprocess(clip(seconds))])
    assert len(features) == steps


def test_a_batch_is_what_its_items_are_alone(backbone: Backbone, items: list[Clip | str]) -> None:
    prepared = [backbone.preprocess(item) for item in items if item is not MEDIA[2]]
    together = backbone.extract(prepared)
    for item, features in zip(prepared, together, strict=True):
        torch.testing.assert_close(backbone.extract([item])[0], features, rtol=1e-4, atol=1e-5)


def test_features_tell_items_apart(backbone: Backbone, items: list[Clip | str]) -> None:
    first, second = (backbone.extract([backbone.preprocess(item)])[0][0] for item in items[:2])
    assert not torch.allclose(first, second, atol=1e-3)


def test_it_is_frozen(backbone: Backbone) -> None:
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_what_has_nothing_of_its_modality_is_refused(backbone: Backbone) -> None:
    absent: list[Clip | str] = [Clip(None, None, 1.0)]
    absent += ["", "  \n"] if backbone.modality is Modality.TEXT else ["a sentence"]
    for item in absent:
        with pytest.raises(MediaError):
            backbone.preprocess(item)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'vgg20'.*efficientnet-lite0.*yamnet"):
        build_backbone("vgg20")
