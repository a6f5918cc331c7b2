"""VGGish against its formulas, at the real widths."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.backbones import build_backbone
from model.backbones.vggish import VGGish
from model.errors import CheckpointError, ConfigError
from model.media import SAMPLE_RATE, Clip
from tests.backbone_weights import vggish_weights


def by_hand(weights: dict[str, Tensor], patches: Tensor) -> Tensor:
    """VGGish's embedding ``[T, 128]`` of log-mel patches ``[T, 96, 64]``."""
    x = patches[:, None]
    for index, is_pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        layer = f"features.{index}"
        x = F.relu(F.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=1))
        x = F.max_pool2d(x, 2) if is_pooled else x
    # TensorFlow flattens time, band, channel; PyTorch holds channel, time, band.
    x = torch.stack([x[:, :, t, band] for t in range(6) for band in range(4)], 1).flatten(1)
    for index in (0, 2, 4):
        x = F.relu(
            x @ weights[f"embeddings.{index}.weight"].T + weights[f"embeddings.{index}.bias"]
        )
    return x


def noise(seconds: float) -> Clip:
    rng = np.random.default_rng(0)
    return Clip(None, rng.uniform(-0.5, 0.5, int(seconds * SAMPLE_RATE)).astype("f4"), seconds)


def test_features_are_those_of_the_formulas_at_the_published_widths() -> None:
    weights = vggish_weights()
    backbone = VGGish(weights)
    patches = backbone.preprocess(noise(2))
    (features,) = backbone.extract([patches])
    assert features.shape == (2, 128) == (2, *backbone.feature_shape)
    torch.testing.assert_close(features, by_hand(weights, patches), rtol=1e-4, atol=1e-5)
    assert (features > 0).float().mean() > 0.1  # not equal for being all zero


def test_a_patch_is_the_first_96_hundredths_of_its_second_in_log_mel() -> None:
    """By a loop over windows; the offset of VGGish is 0.01, that of YAMNet 0.001."""
    own = noise(2)
    patches = VGGish(vggish_weights(narrower=16)).preprocess(own)
    assert own.waveform is not None
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)  # periodic
    bins = 1127 * np.log1p(np.arange(257) * SAMPLE_RATE / 512 / 700)
    edges = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    for second, place in ((0, 0), (0, 95), (1, 40)):
        start = second * SAMPLE_RATE + place * 160
        spectrum = np.abs(np.fft.rfft(own.waveform[start : start + 400] * hann, 512))
        for band in (0, 17, 63):
            low, centre, high = edges[band : band + 3]
            triangle = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
            expected = np.log(spectrum @ triangle.clip(0) + 0.01)
            assert patches[second, place, band].item() == pytest.approx(expected, abs=1e-3)


def test_the_environment_names_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRCID_VGGISH", raising=False)
    with pytest.raises(ConfigError, match=r"SRCID_VGGISH to the path of .*VGGish in PyTorch"):
        build_backbone("vggish")
    postprocessor = {"pproc.pca_matrix": torch.eye(8), "pproc.pca_means": torch.ones(8, 1)}
    torch.save(vggish_weights(narrower=16) | postprocessor, tmp_path / "vggish.pth")
    monkeypatch.setenv("SRCID_VGGISH", str(tmp_path / "vggish.pth"))
    assert build_backbone("vggish").feature_shape == (8,)


@pytest.mark.parametrize("lacking", ["features.13.bias", "embeddings.4.weight"])
def test_incomplete_weights_are_refused(lacking: str) -> None:
    weights = vggish_weights(narrower=16)
    del weights[lacking]
    with pytest.raises(CheckpointError, match=lacking.removeprefix("features.")):
        VGGish(weights)
