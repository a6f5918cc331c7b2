"""The front end of the networks of AudioSet: a log-mel patch of each second.

Shape letters: T steps of one clip.
"""

from functools import cache

import torch
from torch import Tensor

from model.backbones.base import sound_by_second
from model.media import SAMPLE_RATE, Clip

WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms
PATCH = 96  # windows, of 10 ms each
MAX_SECONDS = 10  # at a time: bounds the memory, about a megabyte each
MEL_BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # Hz


def log_mel_patches(item: Clip | str, *, offset: float) -> Tensor:
    """Return ``[T, 96, 64]``, from the first 0.975 s of each second; the last is padded with 0.

    Args:
        item: A clip with sound.
        offset: Added before the logarithm to the magnitudes (which are not squared).

    Raises:
        MediaError: There is no sound.
        ShapeError: It was decoded to another rate.
    """
    groups = sound_by_second(item, rate=SAMPLE_RATE).split(MAX_SECONDS)
    return torch.cat([torch.log(_magnitudes(group) @ mel_weights() + offset) for group in groups])


def _magnitudes(seconds: Tensor) -> Tensor:
    """Return the spectra ``[T, 96, 257]`` of seconds ``[T, SAMPLE_RATE]``."""
    windows = seconds.unfold(1, WINDOW, HOP)[:, :PATCH]  # [T, 96, 400]
    return torch.fft.rfft(windows * torch.hann_window(WINDOW), FFT).abs()


@cache
def mel_weights() -> Tensor:
    """Return the triangles ``[257, 64]`` that turn magnitudes into bands.

    They are linear in mel (HTK), as TensorFlow's are with which the networks were trained;
    torchaudio's are linear in Hz.
    """

    def to_mel(hertz: Tensor) -> Tensor:
        return 2595 * torch.log10(1 + hertz / 700)

    bins = to_mel(torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64))
    first, last = to_mel(torch.tensor([LOWEST, HIGHEST], dtype=torch.float64)).tolist()
    edges = torch.linspace(first, last, MEL_BANDS + 2, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()
