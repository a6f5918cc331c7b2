"""Bytes or a path in, frames and sound out.

Never imports torch: decoding may run in worker processes that should start fast.
"""

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from model.clip import ADVICE
from model.clip import SAMPLE_RATE as SAMPLE_RATE
from model.clip import Clip as Clip
from model.clip import DecodeConfig as DecodeConfig
from model.clip import num_steps as num_steps
from model.errors import MediaError, MediaTooLarge
from model.sampling import SoundSampler, check_pixels, opaque, scaled, sound_frame
from model.streams import read_streams

PICTURES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "ICO", "JPEG2000")
# What Pillow's decoders raise on damaged files.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, RuntimeError),
    struct.error,
)
ORIENTATION = 0x0112  # a tag of EXIF: how a picture is to be turned, a key of TURNS or 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_clip(source: bytes | Path | BinaryIO, config: DecodeConfig | None = None) -> Clip:
    """Decode a video, sound or picture: its bytes, its path, or the opened file.

    Step t shows the frame on screen at its middle, second t + 0.5; with R frames a step, those
    at the middles of R equal parts. ``waveform`` holds at most T seconds, and fewer where the
    sound ends before the picture. A moving GIF counts as the picture that is its first frame.
    A later ``start_second`` is looked up in the file, so that it costs no more than an early one.

    Raises:
        MediaError: Not decodable, or empty, or without picture and sound, from the start on.
        MediaTooLarge: Over a limit of ``config``.
    """
    config = config or DecodeConfig()
    with _opened(source, config.max_bytes) as file:
        return _read_picture(file, config) or read_streams(file, config)


def clip_of_picture(image: Image.Image, config: DecodeConfig) -> Clip:
    """Return a picture as a clip, turned as its EXIF says and scaled to ``config.short_side``."""
    pixels = scaled(
        opaque(_turned(image)),
        config.short_side,
        is_squashed=config.is_squashed,
        resample=config.resample,
    )
    frames = np.repeat(pixels[None, None], config.frames_per_step, axis=1)
    return Clip(frames, None, None, config.sample_rate)


def clip_of_sound(waveform: NDArray[Any], rate: int, config: DecodeConfig) -> Clip:
    """Return a mono waveform ``[S]`` as a clip, resampled as the sound of a file is.

    Args:
        waveform: Floats in [-1, 1], or integers of 16 bits.
        rate: Its samples a second.
        config: Says how many seconds are kept.

    Raises:
        MediaError: It is empty, has several channels, or numbers of another type.
    """
    if waveform.ndim != 1 or not waveform.size:
        raise MediaError(
            f"the waveform has shape {waveform.shape}: give one channel [S], such as the mean of "
            "all channels"
        )
    if waveform.dtype == np.int16:
        waveform = waveform / 2**15
    if not np.issubdtype(waveform.dtype, np.floating) or not np.isfinite(waveform).all():
        raise MediaError(
            f"the waveform is {waveform.dtype}: give finite floats in [-1, 1], or int16"
        )
    if rate < 1:
        raise MediaError(f"the waveform has {rate} samples a second: give its sample rate, 16000")
    sampler = SoundSampler(rate=config.sample_rate, max_seconds=config.max_steps)
    sampler.add(sound_frame(waveform, rate), 0.0)
    sampler.finish()
    sound = sampler.waveform(config.max_steps)
    return Clip(None, sound, len(waveform) / rate, config.sample_rate)


def open_media(path: Path) -> BinaryIO:
    """Open a file by descriptor: it has no name from which a format could be guessed.

    Raises:
        MediaError: It cannot be opened.
    """
    try:
        # Not blocking: opening a named pipe would wait for its writer.
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise MediaError(f"cannot read the file: {error}") from error


def load_plugins() -> None:
    """Load what would be loaded with the first picture, when a sandboxed process may not."""
    Image.init()
    _load_heif()


@cache
def _load_heif() -> None:
    """Have Pillow read HEIC: the photo that the file names, whole, turned and with its alpha."""
    pillow_heif.options.DECODE_THREADS = 1  # callers decode several files at once
    pillow_heif.register_heif_opener(thumbnails=False)


@contextmanager
def _opened(source: bytes | Path | BinaryIO, max_bytes: int) -> Iterator[BinaryIO]:
    opened: AbstractContextManager[BinaryIO]
    if isinstance(source, Path):
        opened = open_media(source)
    else:
        opened = io.BytesIO(source) if isinstance(source, bytes) else nullcontext(source)
    try:
        with opened as file:
            size = file.seek(0, os.SEEK_END)  # not fstat, which a sandboxed process may lack
            file.seek(0)
            if size > max_bytes:
                raise MediaTooLarge(
                    f"{size} bytes, of at most {max_bytes}; cut or compress it, or raise max_bytes"
                )
            if not size:
                raise MediaError(f"the file is empty; {ADVICE}")
            yield file
    except OSError as error:
        raise MediaError(f"cannot read the file: {error}") from error


def _read_picture(file: BinaryIO, config: DecodeConfig) -> Clip | None:
    """Return the picture in ``file``, or None where it is no picture."""
    _load_heif()
    try:
        # Pillow warns of damaged metadata, which matters to nobody.
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=PICTURES) as image:
            check_pixels(image.width, image.height, max_pixels=config.max_pixels)
            # Before EXIF is read: where that loads a PNG, it would hide that the PNG is damaged.
            image.load()
            return clip_of_picture(image, config)
    except UnidentifiedImageError:
        file.seek(0)
        return None
    except Image.DecompressionBombError as error:
        raise MediaTooLarge(f"{error}; scale the picture down") from error
    except DAMAGED as error:
        raise MediaError(f"a picture that does not decode ({error}); {ADVICE}") from error


def _turned(image: Image.Image) -> Image.Image:
    """Return the picture the right way up: all else that its metadata say matters to nobody."""
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except (*DAMAGED, TypeError):
        turn = None
    return image if turn is None else image.transpose(turn)
