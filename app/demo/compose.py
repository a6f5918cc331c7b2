"""Pictures and a sound in, a small mp4 out.

Shape letters: N pictures, H height, W width, S samples.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLE_RATE = 44_100  # Hz
PICTURES_PER_SECOND = 5
SIDE = 320  # pixels; clips are square, as what the backbones see is
MARGIN = 20  # white pixels round a still picture, at least
SAMPLES_PER_FRAME = 1024  # what an AAC frame holds


def write_clip(
    path: Path, *, pictures: Iterable[NDArray[np.uint8]], sound: NDArray[np.float32]
) -> None:
    """Write an mp4 (H.264 and AAC) that shows ``pictures`` over ``sound``.

    Args:
        path: The file to write.
        pictures: ``[SIDE, SIDE, 3]`` each, RGB, ``PICTURES_PER_SECOND`` of them a second.
        sound: ``[S]`` mono at ``SAMPLE_RATE``, in [-1, 1].
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        video = file.add_stream("libx264", rate=PICTURES_PER_SECOND, options={"crf": "26"})
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        audio = file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            file.mux(video.encode(frame))
        for start in range(0, len(sound), SAMPLES_PER_FRAME):
            samples = sound[None, start : start + SAMPLES_PER_FRAME]
            block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            block.sample_rate, block.pts = SAMPLE_RATE, start
            file.mux(audio.encode(block))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))


def write_still(path: Path, *, picture: Path, sound: Path) -> None:
    """Write an mp4 of a still ``picture`` for as long as its ``sound`` lasts, a second at least."""
    heard = read_sound(sound)
    heard = np.pad(heard, (0, max(0, SAMPLE_RATE - len(heard))))
    count = math.ceil(len(heard) / SAMPLE_RATE * PICTURES_PER_SECOND)
    write_clip(path, pictures=[on_white(picture)] * count, sound=heard)


def on_white(picture: Path) -> NDArray[np.uint8]:
    """Return ``[SIDE, SIDE, 3]``: the whole picture, scaled, on white where it is transparent."""
    with Image.open(picture) as file:
        image = file.convert("RGBA")
    room = SIDE - 2 * MARGIN
    scale = min(room / image.width, room / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SIDE, SIDE), "white")
    canvas.alpha_composite(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return np.asarray(canvas.convert("RGB"))


def read_sound(path: Path) -> NDArray[np.float32]:
    """Return the sound ``[S]`` of a file, mono at ``SAMPLE_RATE``."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path)) as file:
        decoded = [*file.decode(audio=0), None]  # None: what the resampler still holds
    parts = [part.to_ndarray()[0] for frame in decoded for part in resampler.resample(frame)]
    return np.concatenate(parts)
