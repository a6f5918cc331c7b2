"""A scene as a media file, to look at and to send to the server."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.media import SAMPLE_RATE
from model.modality import Modality
from training.data.scenes.compose import frame_at, sound_of
from training.data.scenes.material import SIDE, Material
from training.data.scenes.script import SECONDS, SETS, Scene

FPS = 10  # so that a frame lies in the middle of each second, where features are taken
BLOCK = 1024  # samples in an AAC frame


def write_video(path: Path, scene: Scene, material: Material) -> None:
    """Write an mp4: H.264 of what is seen, AAC of what is heard, each where the set has it.

    Raises:
        DataError: A photo or recording of the scene does not decode.
    """
    aside = path.with_suffix(".partial")
    with av.open(str(aside), "w", format="mp4", options={"movflags": "+faststart"}) as file:
        # Streams cannot be added any more once something is written.
        picture = _add_picture(file) if Modality.VIDEO in SETS[scene.set] else None
        sound = _add_sound(file) if Modality.AUDIO in SETS[scene.set] else None
        if picture is not None:
            _write_frames(file, picture, scene, material)
        if sound is not None:
            _write_sound(file, sound, sound_of(scene, material))
    aside.rename(path)


def _add_picture(file: OutputContainer) -> VideoStream:
    stream = file.add_stream("libx264", rate=FPS, options={"crf": "20"})
    stream.width = stream.height = SIDE
    stream.pix_fmt = "yuv420p"
    return stream


def _add_sound(file: OutputContainer) -> AudioStream:
    return file.add_stream("aac", rate=SAMPLE_RATE, layout="mono", options={"b": "96k"})


def _write_frames(
    file: OutputContainer, stream: VideoStream, scene: Scene, material: Material
) -> None:
    for index in range(SECONDS * FPS):
        pixels = frame_at(scene, index / FPS, material)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _write_sound(file: OutputContainer, stream: AudioStream, waveform: NDArray[np.float32]) -> None:
    for start in range(0, len(waveform), BLOCK):
        samples = np.ascontiguousarray(waveform[None, start : start + BLOCK])
        block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        block.sample_rate, block.pts = SAMPLE_RATE, start
        block.time_base = Fraction(1, SAMPLE_RATE)
        file.mux(stream.encode(block))
    file.mux(stream.encode(None))
