"""Clips to send."""

import io

import numpy as np
from numpy.typing import NDArray

from model.video_file import write_video

RATE = 44_100  # Hz


def moving_clip(seconds: int, *, seed: int = 0) -> bytes:
    """Return an mp4 with picture, 320 x 240 at 25 frames a second, and sound."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    frames = [
        np.kron(np.roll(blocks, number // 5, 1), np.ones((20, 20, 1), np.uint8))
        for number in range(25 * seconds)
    ]
    times = np.arange(RATE * seconds) / RATE
    tones = 0.3 * np.sin(2 * np.pi * (200 + 300 * np.floor(times)) * times)
    noise = rng.normal(0, 0.05, len(times))
    return _mp4(frames, fps=25, sound=(tones + noise).astype(np.float32))


def hour_of_video(seconds: int) -> bytes:
    """Return an mp4 of ``seconds`` with a frame a second and silence."""
    blocks = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    frame = np.kron(blocks, np.ones((20, 20, 1), np.uint8))
    frames = [np.roll(frame, number, 1) for number in range(16)]
    return _mp4(
        [frames[number % 16] for number in range(seconds)],
        fps=1,
        sound=np.broadcast_to(np.float32(0), RATE * seconds),
    )


def _mp4(frames: list[NDArray[np.uint8]], *, fps: int, sound: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    options = {"preset": "ultrafast"}
    write_video(file, frames=frames, fps=fps, sound=sound, rate=RATE, x264=options)
    return file.getvalue()
