"""What a decoded clip is, and how much of one is asked for."""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from model.config import FrozenModel

SAMPLE_RATE = 16_000  # Hz, what most networks for sound were trained with
TOLERANCE_SECONDS = 0.05  # encoders pad sound to whole blocks: that much is no further second
ADVICE = "send a whole mp4, webm, mov, mkv, avi, wav, mp3, flac, ogg, jpg, png, webp or gif file"


class DecodeConfig(FrozenModel):
    """What is decoded, and how much of it at most."""

    start_second: NonNegativeInt = 0  # from where on: what is before counts as not there
    max_steps: PositiveInt = 10  # T: steps of one second that are kept
    frames_per_step: PositiveInt = 1  # 16 is what the paper's features average
    short_side: PositiveInt = 256  # frames are scaled so that this is their shorter side
    is_squashed: bool = False  # the longer side is made as short: squares of whole frames
    resample: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"  # what scales frames
    sample_rate: PositiveInt = SAMPLE_RATE  # Hz, of the sound
    max_bytes: PositiveInt = 256 * 2**20
    max_seconds: PositiveInt = 3600  # of the media as it is, before max_steps cuts it
    max_pixels: PositiveInt = 50_000_000  # of one frame as it is coded


class Clip(NamedTuple):
    """Decoded media from ``start_second`` on, T steps, at most ``max_steps``."""

    frames: NDArray[np.uint8] | None  # [T, R, H, W, 3] RGB, R frames a step; None: no picture
    waveform: NDArray[np.float32] | None  # [S] mono, in [-1, 1]; None: no sound
    duration_seconds: float | None  # of the whole media; None for a picture
    sample_rate: int = SAMPLE_RATE  # Hz, of the waveform


def num_steps(seconds: float) -> int:
    """Return T, the one-second steps of ``seconds``: rounded up, at least one.

    A rest of up to ``TOLERANCE_SECONDS`` is the padding of an encoder and makes no step.
    """
    return max(1, math.ceil(seconds - TOLERANCE_SECONDS))
