"""The digest by which media and sentences are recognised."""

import hashlib
from pathlib import Path


def sha256(source: bytes | Path | str) -> str:
    """Return the hex digest of media, as bytes or a file, or of a sentence."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = source.encode() if isinstance(source, str) else source
    return hashlib.sha256(data).hexdigest()
