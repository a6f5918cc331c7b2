"""Photos of phones and of printers: HEIC with alpha, CMYK with a profile."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from model.errors import MediaError
from model.media import DecodeConfig, read_clip

SIZE = 64
CONFIG = DecodeConfig(short_side=SIZE)


@pytest.fixture(autouse=True)
def _heif() -> None:
    pillow_heif.register_heif_opener()


def shown(image: Image.Image, kind: str, **options: object) -> list[int]:
    """Write a picture; return the RGB of what is read at its middle."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    clip = read_clip(file.getvalue(), CONFIG)
    assert clip.frames is not None
    return clip.frames[0, 0, SIZE // 2, SIZE // 2].tolist()


def test_what_is_transparent_in_heic_is_white() -> None:
    clear = Image.new("RGBA", (SIZE, SIZE), (200, 0, 0, 0))
    assert min(shown(clear, "HEIF")) > 250
    solid = shown(Image.new("RGBA", (SIZE, SIZE), (200, 0, 0, 255)), "HEIF")
    assert np.abs(np.subtract(solid, [200, 0, 0])).max() < 12


def test_a_heic_of_several_pictures_is_its_primary_one() -> None:
    """FFmpeg would take the first, which may be a mask or a gain map."""
    file = pillow_heif.HeifFile()
    for colour in ("red", "blue"):
        file.add_from_pillow(Image.new("RGB", (SIZE, SIZE), colour))
    data = io.BytesIO()
    file.save(data, primary_index=1)
    clip = read_clip(data.getvalue(), CONFIG)
    assert clip.frames is not None
    assert clip.duration_seconds is None
    red, _, blue = clip.frames.mean((0, 1, 2, 3))
    assert blue > 230 > 30 > red


def test_a_damaged_heic_is_refused() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(noise).save(file, "HEIF")
    with pytest.raises(MediaError):
        read_clip(file.getvalue()[: len(file.getvalue()) // 2], CONFIG)


def test_inks_look_as_their_profile_says() -> None:
    """The profile shows cyan ink as red; without it, or with a damaged one, cyan is cyan."""
    cyan = Image.new("CMYK", (SIZE, SIZE), (255, 0, 0, 0))
    red, green, blue = shown(cyan, "TIFF", icc_profile=profile())
    assert red > 200 > 80 > max(green, blue)
    assert shown(cyan, "TIFF") == [0, 255, 255]
    assert shown(cyan, "TIFF", icc_profile=b"junk") == [0, 255, 255]


def profile() -> bytes:
    """Return an ICC profile from CMYK to Lab: paper is white, cyan is red, black is black."""
    table = bytearray()
    for corner in range(16):  # C, M, Y and K are each 0 or 1
        cyan, black = corner >> 3, corner & 1
        table += bytes((0, 128, 128) if black else (128, 200, 180) if cyan else (255, 128, 128))
    ramp, one = bytes(range(256)), 65_536
    tag = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + struct.pack(">9i", *(one, 0, 0, 0) * 2, one)
    tag += 4 * ramp + bytes(table) + 3 * ramp
    head = struct.pack(">4sI4s4s4s", b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12)
    head += b"acsp" + bytes(28) + struct.pack(">3i", 63_190, one, 54_061)  # white of D50
    body = head.ljust(124, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(tag)) + tag
    return struct.pack(">I", 4 + len(body)) + body
