"""Makes real media files in memory: whatever a test needs to upload, decode or index."""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.video_file import add_sound, encode_sound

VIDEO_CODECS = {
    "mp4": ("libx264", "aac"),
    "mov": ("libx264", "aac"),
    "mkv": ("libx264", "aac"),
    "webm": ("libvpx-vp9", "libopus"),
    "avi": ("mpeg4", "pcm_s16le"),
}
SOUND_CODECS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "flac": "flac",
    "ogg": "libopus",
    "mp4": "aac",
}
FORMATS = {"mkv": "matroska"}  # where the muxer has another name than the ending
MILLISECOND = Fraction(1, 1000)


def make_video(
    frames: NDArray[np.uint8],
    fps: int = 10,
    audio: NDArray[np.float32] | None = None,
    rate: int = 44_100,
    container: str = "mp4",
    *,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    hflip: bool = False,
    is_live: bool = False,
) -> bytes:
    """Encode ``frames`` ``[N, H, W, 3]`` and ``audio`` ``[S]`` or ``[channels, S]``.

    Args:
        frames: RGB; H and W even.
        fps: Frames a second.
        audio: In [-1, 1], at ``rate`` Hz; None: no sound track.
        rate: 48,000 where ``container`` is webm, since Opus knows no 44,100.
        container: A key of ``VIDEO_CODECS``.
        times: The second at which each frame appears, instead of a constant rate.
        rotation: Degrees counterclockwise by which a player must turn the picture.
        hflip: Whether a player must also mirror it.
        is_live: Written as it is recorded, so that the file does not tell its length.
    """
    picture_codec, sound_codec = VIDEO_CODECS[container]
    file = _Pipe() if is_live else io.BytesIO()
    with av.open(file, "w", format=FORMATS.get(container, container)) as output:
        picture = output.add_stream(picture_codec, rate=fps)
        picture.height, picture.width = frames.shape[1:3]
        picture.pix_fmt = "yuv420p"
        picture.options = {"crf": "10"}  # close to what went in
        if picture_codec == "mpeg4":
            picture.bit_rate = 4_000_000
        if times is not None:
            picture.codec_context.time_base = MILLISECOND
            picture.codec_context.max_b_frames = 0  # mp4 keeps durations in order of decoding
        if rotation or hflip:
            picture.set_display_rotation(rotation, hflip=hflip)
        sound = None if audio is None else add_sound(output, sound_codec, rate, audio)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = index if times is None else round(times[index] * 1000)
            frame.time_base = Fraction(1, fps) if times is None else MILLISECOND
            if times is not None:
                ends = [*times[1:], times[-1] + 1 / fps]
                frame.duration = round(ends[index] * 1000) - frame.pts
            output.mux(picture.encode(frame))
        output.mux(picture.encode())
        if sound is not None and audio is not None:
            encode_sound(output, sound, audio)
    return file.getvalue()


def make_sound(
    audio: NDArray[np.float32],
    rate: int = 44_100,
    container: str = "wav",
    *,
    codec: str = "pcm_s16le",
    cover: NDArray[np.uint8] | None = None,
) -> bytes:
    """Encode ``audio`` ``[S]`` or ``[channels, S]``, in [-1, 1] at ``rate`` Hz.

    ``container`` is a key of ``SOUND_CODECS``, or another that holds ``codec``; ``cover``
    ``[H, W, 3]`` becomes cover art (mp3).
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        sound = add_sound(output, SOUND_CODECS.get(container, codec), rate, audio)
        if cover is not None:
            art = output.add_stream("png")
            art.height, art.width = cover.shape[:2]
            art.pix_fmt = "rgb24"
            art.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(cover, format="rgb24")
            output.mux(art.encode(frame))
            output.mux(art.encode())
        encode_sound(output, sound, audio)
    return file.getvalue()


def make_picture(
    pixels: NDArray[np.uint8], container: str = "png", *, orientation: int = 1
) -> bytes:
    """Encode ``pixels`` ``[H, W, 3]`` or ``[H, W, 4]``; ``orientation`` is EXIF's, 1 to 8."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, format=container, exif=exif, quality=95)
    return file.getvalue()


def colours(seconds: int, fps: int = 10, size: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """Return frames ``[seconds * fps, *size, 3]`` of one grey a second: 20, 40, 60, ..."""
    greys = np.repeat(np.arange(1, seconds + 1, dtype=np.uint8) * 20, fps)
    return np.broadcast_to(greys[:, None, None, None], (len(greys), *size, 3)).copy()


def tone(seconds: float, rate: int = 44_100, hertz: float = 440.0) -> NDArray[np.float32]:
    """Return a sine of amplitude one half, ``[seconds * rate]``."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


class _Pipe(io.BytesIO):
    """A file in which nobody can go back."""

    def seekable(self) -> bool:
        return False
