"""Video files made of frames and sound. Opens PyAV.

Shape letters: H height, W width, C channels, S samples.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

AAC_SAMPLES = 1024  # in a frame
LAYOUTS = {1: "mono", 2: "stereo"}  # by number of channels


def write_video(
    file: Path | BinaryIO,
    *,
    frames: Iterable[NDArray[np.uint8]],
    fps: int,
    sound: NDArray[np.float32] | None,
    rate: int,
    x264: Mapping[str, str],
) -> None:
    """Write an mp4 with H.264 of ``frames`` and AAC of ``sound``, each if there is any.

    Args:
        file: The file to write.
        frames: ``[H, W, 3]`` each, RGB; H and W are even.
        fps: Frames per second.
        sound: ``[S]`` or ``[C, S]`` in [-1, 1].
        rate: Samples per second.
        x264: Options of the H.264 encoder, such as ``crf`` and ``preset``.
    """
    frames = iter(frames)
    first = next(frames, None)
    target, options = (
        (str(file), {"movflags": "+faststart"}) if isinstance(file, Path) else (file, {})
    )
    with av.open(target, "w", format="mp4", options=options) as output:
        # All streams must be added before the first packet is written.
        if first is not None:
            video = output.add_stream("libx264", rate=fps, options=dict(x264))
            video.height, video.width = first.shape[:2]
            video.pix_fmt = "yuv420p"
        if sound is not None:
            audio = add_sound(output, "aac", rate, sound)
        if first is not None:
            _encode_frames(output, video, chain([first], frames), fps)
        if sound is not None:
            encode_sound(output, audio, sound)


def add_sound(
    output: OutputContainer, codec: str, rate: int, sound: NDArray[np.float32]
) -> AudioStream:
    """Add a stream for ``sound`` ``[S]`` or ``[C, S]`` at ``rate`` Hz."""
    layout = LAYOUTS[len(np.atleast_2d(sound))]
    return cast(AudioStream, output.add_stream(codec, rate=rate, layout=layout))


def encode_sound(output: OutputContainer, stream: AudioStream, sound: NDArray[np.float32]) -> None:
    """Encode all of ``sound`` ``[S]`` or ``[C, S]`` into a stream of ``add_sound``."""
    channels = np.atleast_2d(sound)
    for start in range(0, channels.shape[1], AAC_SAMPLES):
        samples = np.ascontiguousarray(channels[:, start : start + AAC_SAMPLES], np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=LAYOUTS[len(channels)])
        frame.sample_rate, frame.pts = stream.rate, start
        frame.time_base = Fraction(1, stream.rate)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _encode_frames(
    output: OutputContainer, stream: VideoStream, frames: Iterable[NDArray[np.uint8]], fps: int
) -> None:
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, fps)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
