"""Pictures made to do harm: small files that say or hold far more than they are."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.media_maker import make_picture

SIDE = 30_000
PNG = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return PNG + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def _zeros(count: int) -> bytes:
    """Return ``count`` zeros, deflated."""
    packer, block = zlib.compressobj(1), bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // len(block) + 1)]
    return b"".join(parts) + packer.flush()


def _gif(width: int, height: int, num_frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + loop + frame * num_frames + b";"


def _webp(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    lossless = b"\x2f" + bits.to_bytes(4, "little") + bytes(64)
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height)]
    tags += [(277, 1), (279, width * height % 2**32)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def _tiff_loop() -> bytes:
    """Return a TIFF whose directory says that the next one is itself."""
    return _tiff(8, 8)[:-4] + struct.pack("<I", 8)


def _bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def _jpeg(width: int, height: int) -> bytes:
    """Return a JPEG of 8 x 8 whose header says another size."""
    data = make_picture(np.zeros((8, 8, 3), np.uint8), "jpeg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _avif_of_noise() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, format="AVIF")
    data = file.getvalue()
    return data[:40] + bytes(255 - byte for byte in data[40:])


def refused() -> dict[str, bytes]:
    """Return, by name, pictures that must be answered with 4xx."""
    small = make_picture(np.zeros((8, 8, 3), np.uint8))
    bits = _zeros((SIDE // 8 + 1) * SIDE)
    files = {
        "png bomb 30k x 30k": _header(SIDE, SIDE, 1, 0) + _chunk(b"IDAT", bits) + small[-12:],
        "png header 2^31 wide": _header(2**31 - 1, 2**31 - 1) + _chunk(b"IDAT", b"") + small[-12:],
        "png of no size": _header(0, 0) + small[-12:],
        "png of one huge row": _header(2**30, 1) + _chunk(b"IDAT", _zeros(99)) + small[-12:],
        "png chunk beyond the file": small[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + small,
        "gif 65k x 65k": _gif(65_535, 65_535, 1),
        "webp 16k x 16k": _webp(16_384, 16_384),
        "tiff 2^31 wide": _tiff(2**31 - 1, 2**31 - 1),
        "tiff 30k x 30k": _tiff(SIDE, SIDE),
        "bmp 30k x 30k": _bmp(SIDE, SIDE),
        "bmp of negative size": _bmp(-SIDE, -SIDE),
        "jpeg 65k x 65k": _jpeg(65_500, 65_500),
        "jpeg of no size": _jpeg(0, 0),
        "avif of noise": _avif_of_noise(),
        "png signature only": PNG,
    }
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for kind in ("png", "jpeg", "gif", "webp", "bmp"):
        whole = make_picture(noise, kind)
        for share in (0.01, 0.1):
            size = max(4, round(share * len(whole)))
            files[f"{kind} cut after {size} bytes"] = whole[:size]
    return files


def tolerated() -> dict[str, bytes]:
    """Return pictures of which a first frame, or what is left, may be shown."""
    small = make_picture(np.zeros((8, 8, 3), np.uint8))
    text = _chunk(b"zTXt", b"a\0\0" + _zeros(2**28))
    profile = _chunk(b"iCCP", b"a\0\0" + _zeros(2**27))
    return {
        "tiff that is its own next page": _tiff_loop(),
        "gif of 10^6 frames": _gif(1, 1, 10**6),
        "png with a text bomb": small[:33] + text + small[33:],
        "png with a profile bomb": small[:33] + profile + small[33:],
        "png and a zip behind it": small + b"PK\x03\x04" + bytes(500),
        "jpeg cut in the middle": make_picture(np.zeros((64, 64, 3), np.uint8), "jpeg")[:700],
    }
