"""What every backbone promises, run on each of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from model.backbones import BACKBONES, build_backbone
from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.errors import ConfigError, MediaError
from model.media import SAMPLE_RATE, Clip
from model.modality import Modality

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
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def backbone(name: str, paper_backbones: Path) -> Backbone:
    return build_backbone(name)


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
def test_a_second_is_a_step(backbone: Backbone, seconds: float, steps: int) -> None:
    if backbone.modality is Modality.TEXT:
        pytest.skip("its steps are words")
    (features,) = backbone.extract([backbone.preprocess(clip(seconds))])
    assert len(features) == steps


def test_a_cpu_computes_what_torch_does(
    name: str, backbone: Backbone, items: list[Clip | str]
) -> None:
    """To a ten-thousandth of the largest feature: sums of float32 in another order."""
    reference = BACKBONES[name]().eval()
    for item in items:
        prepared = reference.preprocess(item)
        with torch.inference_mode():
            expected = reference.forward(prepared)
        (features,) = backbone.extract([prepared])
        assert (features - expected).abs().max() <= 1e-4 * expected.abs().max()
        if isinstance(backbone, Classifier):
            classes = backbone.head.out_features
            best, known = (own[:, -classes:].argmax(1) for own in (features, expected))
            assert torch.equal(best, known)


def test_a_batch_is_to_the_bit_what_its_items_are_alone(
    backbone: Backbone, items: list[Clip | str]
) -> None:
    prepared = [backbone.preprocess(item) for item in items]
    alone = [backbone.extract([item])[0] for item in prepared]
    with ThreadPoolExecutor(4) as threads:  # several at once, each with all items
        for together in threads.map(backbone.extract, [prepared] * 4):
            for features, own in zip(together, alone, strict=True):
                assert torch.equal(features, own)


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
