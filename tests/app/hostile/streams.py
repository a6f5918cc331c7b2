"""Sounds and videos made to do harm: cut off, contradictory, endless."""

import struct

import numpy as np

from tests.media_maker import colours, make_sound, make_video, tone

CONTAINERS = ("mp4", "webm", "mkv", "avi")
SOUNDS = ("wav", "mp3", "flac", "ogg")


def _wav(
    *, channels: int, rate: int, bits: int, promised: int, data: bytes, kind: int = 1
) -> bytes:
    align = channels * bits // 8 % 2**16
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * align % 2**32, align, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", promised) + data
    return b"RIFF" + struct.pack("<I", promised) + body


def _patched(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite ``value`` at ``offset`` behind the name of the first ``box``."""
    at = data.index(box) + 4 + offset
    return data[:at] + value + data[at + len(value) :]


def _repeated_tags(count: int) -> bytes:
    """Return an FLV whose last picture comes ``count`` times."""
    tag = b"\x09" + (7).to_bytes(3, "big") + bytes(7) + b"\x12\0\0\x84\0\x10\x10"
    head = b"FLV\x01\x01" + struct.pack(">II", 9, 0)
    return head + (tag + struct.pack(">I", len(tag))) * count


def cut() -> dict[str, bytes]:
    """Return media that breaks off: early, in the middle, just before the end."""
    files = {}
    frames = colours(2)
    for kind in CONTAINERS:
        rate = 48_000 if kind == "webm" else 44_100
        whole = make_video(frames, audio=tone(2, rate=rate), rate=rate, container=kind)
        for share in (0.002, 0.02, 0.3, 0.7, 0.99):
            files[f"{kind} cut at {share:.1%}"] = whole[: max(4, round(share * len(whole)))]
    for kind in SOUNDS:
        rate = 48_000 if kind == "ogg" else 44_100
        whole = make_sound(tone(2, rate=rate), rate=rate, container=kind)
        for share in (0.001, 0.5):
            files[f"{kind} cut at {share:.1%}"] = whole[: max(4, round(share * len(whole)))]
    return files


def refused() -> dict[str, bytes]:
    """Return, by name, streams that must be answered with 4xx."""
    mp4 = make_video(colours(1))
    mkv = make_video(colours(1), container="mkv")
    return {
        "wav of 65535 channels": _wav(
            channels=65_535, rate=16_000, bits=16, promised=2**20, data=bytes(2**20)
        ),
        "wav of no channels": _wav(channels=0, rate=16_000, bits=16, promised=99, data=bytes(99)),
        "wav of 0 Hz": _wav(channels=1, rate=0, bits=16, promised=999, data=bytes(999)),
        "wav of 1 Hz for days": _wav(channels=1, rate=1, bits=8, promised=10**6, data=bytes(10**6)),
        "wav of 0 bits": _wav(channels=1, rate=16_000, bits=0, promised=99, data=bytes(99)),
        "wav of an unknown kind": _wav(
            channels=1, rate=8000, bits=16, promised=99, data=bytes(99), kind=0xBEEF
        ),
        "wav without samples": _wav(channels=1, rate=16_000, bits=16, promised=0, data=b""),
        "flac of nothing": b"fLaC" + bytes(64),
        "mp4 with a bare ftyp": mp4[: mp4.index(b"ftyp") + 28],
        "mp4 without its index": mp4[: mp4.index(b"moov") - 4],
        "mp4 with a broken index": _patched(mp4, b"moov", 0, bytes(200)),
        "mp4 whose box is 2^63 long": mp4[:32] + b"\0\0\0\x01moov" + b"\x7f" + b"\xff" * 7,
        "mp4 of 10^9 samples": _patched(mp4, b"stsz", 4, struct.pack(">II", 0, 2**32 - 1)),
        "mp4 of boxes in boxes": mp4[:32]
        + b"".join(struct.pack(">I", 8 * (2000 - depth)) + b"moov" for depth in range(1999)),
        "mkv of noise": mkv[:200] + np.random.default_rng(0).bytes(5000),
        "mkv whose head is 2^56 long": mkv[:4] + b"\x01" + b"\xff" * 7 + mkv[12:],
        "flv of 10^6 pictures": _repeated_tags(10**6),
        "mp3 of headers": b"\xff\xfb\x90\x64" * 5000,
        "ogg of empty pages": b"OggS" + bytes(23) * 999,
        "ts of padding": (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5000,
        "avi of nothing": b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\x7fhdrl" + bytes(99),
    }


def tolerated() -> dict[str, bytes]:
    """Return streams that contradict themselves, of which something may be decoded."""
    mp4 = make_video(colours(1))
    second = bytes(32_000)
    return {
        "wav of 2^31 Hz": _wav(channels=1, rate=2**31 - 1, bits=16, promised=32_000, data=second),
        "wav of 4 GB that is not there": _wav(
            channels=1, rate=16_000, bits=16, promised=2**32 - 1, data=second
        ),
        "mp4 that lasts for ages": _patched(
            _patched(mp4, b"mvhd", 16, b"\x7f\xff\xff\xff"), b"mdhd", 16, b"\x7f\xff\xff\xff"
        ),
        "mp4 of negative edits": _patched(mp4, b"elst", 8, b"\xff" * 8),
        "mp4 of huge edits": _patched(mp4, b"elst", 8, b"\x7f\xff\xff\xff" * 2),
        "mp4 of 10^9 times": _patched(mp4, b"stts", 8, struct.pack(">II", 2**31, 1)),
        "mp4 of no time at all": _patched(mp4, b"stts", 12, bytes(4)),
        "mp4 whose pictures start beyond it": _patched(mp4, b"stco", 8, b"\x7f\xff\xff\xff"),
        "aac of 10^6 empty frames": b"\xff\xf1\x50\x40\x01\x1f\xfc\x00\x00" * 10**6,
        "mp4 and a zip behind it": mp4 + b"PK\x03\x04" + bytes(500),
    }
