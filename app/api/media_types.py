"""The media type of a kept file, by how it begins: what the sender called it is not believed."""

from pathlib import Path

UNKNOWN = "application/octet-stream"
BEGINNINGS = {  # offset -> bytes -> type
    0: {
        b"\xff\xd8\xff": "image/jpeg",
        b"\x89PNG": "image/png",
        b"GIF8": "image/gif",
        b"BM": "image/bmp",
        b"II*\0": "image/tiff",
        b"MM\0*": "image/tiff",
        b"OggS": "audio/ogg",
        b"fLaC": "audio/flac",
        b"ID3": "audio/mpeg",
        b"\xff\xfb": "audio/mpeg",
        b"\xff\xf3": "audio/mpeg",
        b"\xff\xf2": "audio/mpeg",
        b"\xff\xf1": "audio/aac",
        b"\xff\xf9": "audio/aac",
        b"\x1aE\xdf\xa3": "video/webm",  # and Matroska: players look inside
        b"FLV": "video/x-flv",
        b"#!AMR": "audio/amr",
    },
    8: {
        b"WAVE": "audio/wav",
        b"WEBP": "image/webp",
        b"AVI ": "video/x-msvideo",
        b"AIFF": "audio/aiff",
        b"avif": "image/avif",
        b"heic": "image/heic",
        b"mif1": "image/heic",
        b"M4A ": "audio/mp4",
        b"qt  ": "video/quicktime",
    },
    4: {b"ftyp": "video/mp4"},
}


def media_type_of(path: Path) -> str:
    """Return the media type of a file."""
    with path.open("rb") as file:
        start = file.read(16)
    for offset, types in BEGINNINGS.items():
        for beginning, media_type in types.items():
            if start[offset:].startswith(beginning):
                return media_type
    return UNKNOWN
