"""Bytes or a path in, frames and 16 kHz sound out. The only file that opens PyAV.

Never imports torch: decoding may run in worker processes that should start fast.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from model.config import FrozenModel

SAMPLE_RATE = 16_000  # Hz, what YAMNet and VGGish were trained with


class DecodeConfig(FrozenModel):
    """What is decoded, and how much of it at most."""

    max_steps: PositiveInt = 10  # T: steps of one second that are kept
    frames_per_step: PositiveInt = 1  # 16 is what the paper's features average
    short_side: PositiveInt = 256  # frames are scaled so that this is their shorter side
    max_bytes: PositiveInt = 256 * 2**20
    max_seconds: PositiveInt = 3600  # of the media as it is, before max_steps cuts it
    max_pixels: PositiveInt = 50_000_000  # of one frame as it is coded


class Clip(NamedTuple):
    """Decoded media, T = ceil(duration) steps, at most ``max_steps``."""

    frames: NDArray[np.uint8] | None  # [T, R, H, W, 3] RGB, R frames a step; None: no picture
    waveform: NDArray[np.float32] | None  # [S] mono, 16 kHz, in [-1, 1]; None: no sound
    duration_seconds: float | None  # of the whole media; None for a picture


def read_clip(source: bytes | Path, config: DecodeConfig | None = None) -> Clip:
    """Decode a video, sound or picture.

    Raises:
        MediaError: Not decodable, or empty, or without picture and sound.
        MediaTooLarge: Over a limit of ``config``.
    """
    ...
