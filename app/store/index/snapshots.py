"""Indexes as files, so that a large one is open at once: mapped into memory, not built again.

A snapshot is derived: it may be missing, damaged or old, and then more is read from the database.
It is a line that names the format, the length of a header, the header in JSON, and the arrays of
all packed streams, each at a multiple of 64 bytes. The database holds the digest of the whole,
which is also the file's name: no other file is believed.
"""

import hashlib
import json
import logging
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Chunk, Layers, Packing
from app.store.index.code_index import CodeIndex
from app.store.sqlite.views import Position
from model.files import PRIVATE, atomic_write, sync_folder
from model.modality import Modality

logger = logging.getLogger(__name__)

FORMAT = b"srcid index 1\n"  # another number where codes are packed or lengths measured otherwise
LENGTH = struct.Struct("<Q")
ALIGNMENT = 64
ENDING = ".index"


class Part(NamedTuple):
    """Streams of one modality and length."""

    modality: Modality
    packing: Packing
    layers: Layers  # that the norms are of
    arrays: tuple[NDArray[Any], ...]  # keys, low, high, norms: as in a chunk


class Snapshot(NamedTuple):
    """What a file holds."""

    position: Position  # of the database that the indexes stand at
    parts: list[Part]


class Unusable(Exception):
    """A snapshot that cannot be begun with; the message says why."""


class Snapshots:
    """Files in ``folder``, which is made when the first is written.

    Args:
        folder: Where they are.
        fingerprint: Of the checkpoint that the codes are of.
    """

    def __init__(self, folder: Path, *, fingerprint: str) -> None:
        self.folder = folder
        self._fingerprint = fingerprint

    def write(self, snapshot: Snapshot) -> str:
        """Write a file; return its digest.

        Raises:
            OSError: The disk does not take it.
        """
        self.folder.mkdir(exist_ok=True)
        digest = hashlib.blake2b(digest_size=32)
        new = self.folder / f"new{ENDING}"
        with atomic_write(new, mode=PRIVATE) as file:
            for piece in _pieces(snapshot, self._fingerprint):
                file.write(piece)
                digest.update(piece)
        new.replace(self._path(digest.hexdigest()))
        sync_folder(self.folder)
        return digest.hexdigest()

    def open(self, digest: str) -> Snapshot:
        """Map a file into memory; what is written to its arrays does not go into the file.

        Raises:
            Unusable: It is missing, damaged, or of another checkpoint or version.
        """
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise Unusable(f"{path} cannot be read ({error})") from error
        if hashlib.blake2b(memory, digest_size=32).hexdigest() != digest:
            raise Unusable(f"{path} is damaged")
        if memory[: len(FORMAT)] != FORMAT:
            raise Unusable(f"{path} was written by another version")
        start = len(FORMAT) + LENGTH.size
        (size,) = LENGTH.unpack(memory[len(FORMAT) : start])
        header = json.loads(memory[start : start + size])
        if header["fingerprint"] != self._fingerprint:
            raise Unusable(f"{path} is of checkpoint {header['fingerprint']}")
        parts = list(_parts(memory, header, _aligned(start + size)))
        return Snapshot(Position(*header["position"]), parts)

    def remove_others(self, digest: str) -> None:
        """Remove all files but one; who has mapped another keeps it."""
        for path in self.folder.iterdir():
            if path != self._path(digest):
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}{ENDING}"


def parts_of(indexes: Mapping[Modality, CodeIndex]) -> list[Part]:
    """Return the streams of all indexes; what changes in these later does not change the parts."""
    return [
        Part(modality, block.packing, layers, arrays)
        for modality, index in indexes.items()
        for block in index.blocks.values()
        for layers, arrays in map(_frozen, block.chunks)
    ]


def restore(index: CodeIndex, part: Part) -> None:
    """Put the streams of a part into an index, behind those that are there."""
    chunk = Chunk(part.packing, 0)
    chunk.keys, chunk.low, chunk.high, norms = part.arrays
    chunk.norms = {part.layers: norms}
    chunk.count = len(chunk.keys)
    index.attach(chunk)


def _frozen(chunk: Chunk) -> tuple[Layers, tuple[NDArray[Any], ...]]:
    """Return the streams that are still there. Codes are appended to, but lengths change."""
    layers, norms = next(iter(chunk.norms.items()))
    rows = np.flatnonzero(chunk.alive) if chunk.removed else slice(chunk.count)
    own = chunk.keys[rows], chunk.low[:, rows], chunk.high[:, rows], norms[rows].copy()
    return layers, own


def _pieces(snapshot: Snapshot, fingerprint: str) -> Iterator[bytes | memoryview]:
    described = [
        {
            "modality": part.modality,
            "packing": list(part.packing),
            "layers": list(part.layers),
            "count": len(part.arrays[0]),
            "types": [own.dtype.str for own in part.arrays],
        }
        for part in snapshot.parts
    ]
    header = {"fingerprint": fingerprint, "position": snapshot.position, "parts": described}
    text = json.dumps(header).encode()
    begin = FORMAT + LENGTH.pack(len(text)) + text
    yield begin.ljust(_aligned(len(begin)), b"\0")
    for array in (own for part in snapshot.parts for own in part.arrays):
        yield np.ascontiguousarray(array).data.cast("B") if array.size else b""
        yield bytes(_aligned(array.nbytes) - array.nbytes)


def _parts(memory: mmap.mmap, header: dict[str, Any], offset: int) -> Iterator[Part]:
    for own in header["parts"]:
        packing, count = Packing(*own["packing"]), own["count"]
        shapes = (count,), (packing.columns, count), (packing.planes, count), (count,)
        arrays = []
        for shape, kind in zip(shapes, own["types"], strict=True):
            array = np.frombuffer(memory, kind, int(np.prod(shape)), offset).reshape(shape)
            offset += _aligned(array.nbytes)
            arrays.append(array)
        yield Part(Modality(own["modality"]), packing, tuple(own["layers"]), tuple(arrays))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
