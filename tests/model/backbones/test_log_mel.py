"""The log-mel front end, held to what its numbers mean."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.backbones.log_mel import HOP, WINDOW, log_mel_patches, mel_weights
from model.media import SAMPLE_RATE, Clip

OFFSET = 0.001


def patches(clip: Clip) -> Tensor:
    return log_mel_patches(clip, offset=OFFSET)


def test_a_tone_sounds_in_its_own_band() -> None:
    """The band of 1 kHz, on the HTK mel scale, among 64 from 125 to 7500 Hz."""
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = np.sin(2 * np.pi * 1000 * times).astype(np.float32)
    (patch,) = patches(Clip(None, wave, 1.0))

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    band = round((mel(1000) - mel(125)) / ((mel(7500) - mel(125)) / 65)) - 1
    assert (patch.argmax(1) == band).all()


def test_bands_are_triangles_between_the_lowest_and_the_highest() -> None:
    weights = mel_weights()
    assert weights.shape == (257, 64)
    hertz = torch.linspace(0, 8000, 257)
    heard = hertz[weights.sum(1) > 0]
    assert heard.min() > 125
    assert heard.max() < 7500
    assert weights.max() <= 1


def test_magnitudes_are_not_squared() -> None:
    """A tone of a tenth of the amplitude is log(10) lower, not log(100)."""
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = np.sin(2 * np.pi * 1000 * times).astype(np.float32)
    (loud,) = patches(Clip(None, wave, 1.0))
    (soft,) = patches(Clip(None, wave / 10, 1.0))
    assert (loud.max() - soft.max()).item() == pytest.approx(np.log(10), abs=1e-3)


def test_steps_do_not_hear_each_other() -> None:
    rng = np.random.default_rng(0)
    wave = rng.uniform(-0.5, 0.5, 3 * SAMPLE_RATE).astype(np.float32)
    other = wave.copy()
    other[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0
    first, second = (patches(Clip(None, w, 3.0)) for w in (wave, other))
    assert torch.equal(first[[0, 2]], second[[0, 2]])
    assert not torch.equal(first[1], second[1])


def test_the_last_second_is_padded_with_silence() -> None:
    wave = np.full(SAMPLE_RATE + SAMPLE_RATE // 2, 0.3, np.float32)
    padded = patches(Clip(None, wave, 1.5))
    assert len(padded) == 2
    silent = (SAMPLE_RATE // 2 + WINDOW) // HOP + 1
    assert (padded[1, silent:] == np.float32(np.log(0.001))).all()


def test_padding_of_an_encoder_is_no_step() -> None:
    wave = np.zeros(round(2.03 * SAMPLE_RATE), np.float32)
    assert len(patches(Clip(None, wave, 2.03))) == 2
