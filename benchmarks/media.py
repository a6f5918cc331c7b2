"""Clips to send."""

import io

import numpy as np
from numpy.typing import NDArray

from model.video_file import write_video

RATE = 44_100  # Hz
CUT_SECONDS = 3  # between two cuts of what is filmed


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


def filmed_clip(height: int, seconds: int, *, fps: int = 25, seed: int = 0) -> bytes:
    """Return an mp4 as cameras and the web give them: a view that moves, a thing in it, cuts.

    16 to 9, H.264 as x264 makes it by default, stereo sound. As in photos, the strength of detail
    falls with its fineness; a little noise is added to each frame.
    """
    rng = np.random.default_rng(seed)
    width, third = height * 16 // 9 // 2 * 2, height // 3
    views = [_view(height + 200, width + 400, rng) for _ in range(1 + seconds // CUT_SECONDS)]
    thing = _view(third, third, rng)
    frames = []
    for number in range(fps * seconds):
        time = number / fps
        top, left = int(100 + 90 * np.sin(time)), int(200 + 180 * np.sin(0.7 * time + 1))
        frame = views[int(time) // CUT_SECONDS][top : top + height, left : left + width].copy()
        y = int((height - third - 4) * (0.5 + 0.5 * np.sin(2 * time)))
        x = int((width - third - 4) * (0.5 + 0.5 * np.cos(1.3 * time)))
        frame[y : y + third, x : x + third] = thing
        noise = rng.integers(-4, 5, frame.shape, np.int16)
        frames.append((frame + noise).clip(0, 255).astype(np.uint8))
    times = np.arange(RATE * seconds) / RATE
    tones = 0.3 * np.sin(2 * np.pi * (300 + 100 * np.floor(times)) * times)
    sound = np.stack([tones, rng.normal(0, 0.1, len(times))]) + rng.normal(0, 0.03, len(times))
    return _mp4(frames, fps=fps, sound=sound.astype(np.float32), preset="medium")


def _view(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``[height, width, 3]`` of random detail whose strength falls with its fineness."""
    fineness = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / width
    colours = []
    for _ in range(3):
        waves = rng.normal(size=fineness.shape) + 1j * rng.normal(size=fineness.shape)
        plane = np.fft.irfft2(waves / fineness**1.1, (height, width))
        colours.append((plane - plane.min()) / np.ptp(plane) * 255)
    return np.stack(colours, -1).astype(np.uint8)


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


def _mp4(
    frames: list[NDArray[np.uint8]],
    *,
    fps: int,
    sound: NDArray[np.float32],
    preset: str = "ultrafast",
) -> bytes:
    """Return frames ``[H, W, 3]`` and sound ``[S]`` or ``[2, S]`` as an mp4."""
    file = io.BytesIO()
    write_video(file, frames=frames, fps=fps, sound=sound, rate=RATE, x264={"preset": preset})
    return file.getvalue()
