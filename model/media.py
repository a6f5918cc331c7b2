"""Bytes or a path in, frames and 16 kHz sound out.

Never imports torch: decoding may run in worker processes that should start fast.
"""

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from model.clip import ADVICE
from model.clip import SAMPLE_RATE as SAMPLE_RATE
from model.clip import Clip as Clip
from model.clip import DecodeConfig as DecodeConfig
from model.clip import num_steps as num_steps
from model.errors import MediaError, MediaTooLarge
from model.sampling import check_pixels, opaque, scaled
from model.streams import read_streams

PICTURES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "JPEG2000")
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


def read_clip(source: bytes | Path, config: DecodeConfig | None = None) -> Clip:
    """Decode a video, sound or picture.

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


@contextmanager
def _opened(source: bytes | Path, max_bytes: int) -> Iterator[BinaryIO]:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > max_bytes:
            raise MediaTooLarge(
                f"{size} bytes, of at most {max_bytes}; cut or compress it, or raise max_bytes"
            )
        if not size:
            raise MediaError(f"the file is empty; {ADVICE}")
        if isinstance(source, bytes):
            yield io.BytesIO(source)
            return
        # By descriptor, so that the file has no name from which a format could be guessed.
        with os.fdopen(os.open(source, os.O_RDONLY), "rb") as file:
            yield file
    except OSError as error:
        raise MediaError(f"cannot read the file: {error}") from error


def _read_picture(file: BinaryIO, config: DecodeConfig) -> Clip | None:
    """Return the picture in ``file``, or None where it is no picture."""
    try:
        # Pillow warns of damaged metadata, which matters to nobody.
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=PICTURES) as image:
            check_pixels(image.width, image.height, max_pixels=config.max_pixels)
            pixels = scaled(opaque(_turned(image)), config.short_side)
    except UnidentifiedImageError:
        file.seek(0)
        return None
    except Image.DecompressionBombError as error:
        raise MediaTooLarge(f"{error}; scale the picture down") from error
    except DAMAGED as error:
        raise MediaError(f"a picture that does not decode ({error}); {ADVICE}") from error
    return Clip(np.repeat(pixels[None, None], config.frames_per_step, axis=1), None, None)


def _turned(image: Image.Image) -> Image.Image:
    """Return the picture the right way up: all else that its metadata say matters to nobody."""
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except (*DAMAGED, TypeError):
        turn = None
    return image if turn is None else image.transpose(turn)
