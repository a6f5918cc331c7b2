"""Small mp4 clips made of pictures and a sound. Shape letter: S samples."""

import math
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.video_file import write_video

SAMPLE_RATE = 44_100  # Hz
PICTURES_PER_SECOND = 5
SIDE = 320  # pixels; clips are square, like the backbones' input
MARGIN = 20  # least number of white pixels around a still picture


def write_clip(
    path: Path, *, pictures: Iterable[NDArray[np.uint8]], sound: NDArray[np.float32]
) -> None:
    """Write an mp4 that shows ``pictures`` over ``sound``.

    Args:
        path: The file to write.
        pictures: ``[SIDE, SIDE, 3]`` each, RGB, ``PICTURES_PER_SECOND`` of them a second.
        sound: ``[S]`` mono at ``SAMPLE_RATE``, in [-1, 1].
    """
    write_video(
        path,
        frames=pictures,
        fps=PICTURES_PER_SECOND,
        sound=sound,
        rate=SAMPLE_RATE,
        x264={"crf": "26"},
    )


def write_still(path: Path, *, picture: Path, sound: Path) -> None:
    """Write an mp4 of a still ``picture`` that lasts as long as ``sound``, but at least 1 s."""
    samples = read_sound(sound)
    samples = np.pad(samples, (0, max(0, SAMPLE_RATE - len(samples))))
    count = math.ceil(len(samples) / SAMPLE_RATE * PICTURES_PER_SECOND)
    write_clip(path, pictures=[on_white(picture)] * count, sound=samples)


def on_white(picture: Path) -> NDArray[np.uint8]:
    """Return ``[SIDE, SIDE, 3]``: the whole picture, scaled, on white where it is transparent."""
    with Image.open(picture) as file:
        image = file.convert("RGBA")
    side = SIDE - 2 * MARGIN
    scale = min(side / image.width, side / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SIDE, SIDE), "white")
    canvas.alpha_composite(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return np.asarray(canvas.convert("RGB"))


def read_sound(path: Path) -> NDArray[np.float32]:
    """Return the sound ``[S]`` of a file, mono at ``SAMPLE_RATE``."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as file:
        decoded = [*file.decode(audio=0), None]  # None flushes the resampler
    blocks = [b.to_ndarray()[0] for frame in decoded for b in resampler.resample(frame)]
    return np.concatenate(blocks)
