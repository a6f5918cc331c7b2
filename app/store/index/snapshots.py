"""Indexes as files: a large index is mapped into memory at once, instead of being built again.

A snapshot is derived data. If it is missing, damaged or old, more is read from the database.
The file has a line that names the format, the length of a header, the header in JSON, and the
arrays of all centroids and packed streams, each at a multiple of 64 bytes. The database stores
the digest of the whole file, which is also its name; files with another digest are ignored.
"""

import hashlib
import json
import logging
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.index.blocks import Chunk, Layers, Listing, Packing
from app.store.index.lists import Centroids
from app.store.sqlite.views import Position
from model.files import PRIVATE, atomic_write, sync_folder
from model.modality import Modality

if TYPE_CHECKING:  # which loads numba: checking a file needs none
    from app.store.index.code_index import CodeIndex

logger = logging.getLogger(__name__)

FORMAT = b"srcid index 2\n"  # to be counted up when the packing or the lengths change
BEFORE_LISTS = b"srcid index 1\n"  # the same without centroids, which is read too
LENGTH = struct.Struct("<Q")
ALIGNMENT = 64
ENDING = ".index"


class SnapshotBlock(NamedTuple):
    """Streams of one modality and length."""

    modality: Modality
    packing: Packing
    layers: Layers  # of the norms
    arrays: tuple[NDArray[Any], ...]  # keys, low, high, norms: as in a chunk
    listing: Listing | None


class Snapshot(NamedTuple):
    """The content of a file."""

    position: Position  # of the database, as of the indexes
    blocks: list[SnapshotBlock]


class UnusableSnapshot(Exception):
    """A snapshot that an index cannot start from; the message says why."""


class Snapshots:
    """The snapshots in a folder.

    Args:
        folder: Created by the first write.
        fingerprint: Of the checkpoint that made the codes.
    """

    def __init__(self, folder: Path, *, fingerprint: str) -> None:
        self.folder = folder
        self._fingerprint = fingerprint

    def write(self, snapshot: Snapshot) -> str:
        """Write a file; return its digest.

        Raises:
            OSError: The write failed.
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
        """Map a file into memory; changes of its arrays are not written to the file.

        Raises:
            UnusableSnapshot: It is missing, damaged, or of another checkpoint or version.
        """
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise UnusableSnapshot(f"{path} cannot be read ({error})") from error
        if hashlib.blake2b(memory, digest_size=32).hexdigest() != digest:
            raise UnusableSnapshot(f"{path} is damaged")
        if memory[: len(FORMAT)] not in (FORMAT, BEFORE_LISTS):
            raise UnusableSnapshot(f"{path} was written by another version")
        start = len(FORMAT) + LENGTH.size
        (size,) = LENGTH.unpack(memory[len(FORMAT) : start])
        header = json.loads(memory[start : start + size])
        if header["fingerprint"] != self._fingerprint:
            raise UnusableSnapshot(f"{path} is of checkpoint {header['fingerprint']}")
        blocks = list(_blocks(memory, header, _aligned(start + size)))
        return Snapshot(Position(*header["position"]), blocks)

    def remove_others(self, digest: str) -> None:
        """Delete all files but one; processes that have mapped another keep it."""
        for path in self.folder.iterdir():
            if path != self._path(digest):
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}{ENDING}"


def snapshot_blocks(indexes: "Mapping[Modality, CodeIndex]") -> list[SnapshotBlock]:
    """Return the streams of all indexes, unaffected by later changes of these."""
    return [
        _frozen(modality, chunk)
        for modality, index in indexes.items()
        for block in index.blocks.values()
        for chunk in block.chunks
    ]


def restore(index: "CodeIndex", block: SnapshotBlock) -> None:
    """Append the streams of a snapshot to an index."""
    chunk = Chunk(block.packing, 0)
    chunk.keys, chunk.low, chunk.high, norms = block.arrays
    chunk.norms = {block.layers: norms}
    chunk.count = chunk.num_alive = len(chunk.keys)
    chunk.listing = block.listing
    index.attach(chunk)


def _frozen(modality: Modality, chunk: Chunk) -> SnapshotBlock:
    """Return the streams that are not removed. Only lengths need a copy: codes never change."""
    layers, norms = next(iter(chunk.norms.items()))
    alive, listing = chunk.alive, chunk.listing
    rows: slice | NDArray[np.int64] = slice(chunk.count)
    if not alive.all():
        rows = np.flatnonzero(alive)
        listing = listing and listing.only(rows)
    arrays = chunk.keys[rows], chunk.low[:, rows], chunk.high[:, rows], norms[rows].copy()
    return SnapshotBlock(modality, chunk.packing, layers, arrays, listing)


def _pieces(snapshot: Snapshot, fingerprint: str) -> Iterator[bytes | memoryview]:
    listings = [block.listing for block in snapshot.blocks if block.listing]
    centroids = list({id(listing.centroids): listing.centroids for listing in listings}.values())
    blocks = [
        {
            "modality": block.modality,
            "packing": list(block.packing),
            "layers": list(block.layers),
            "count": len(block.arrays[0]),
            "types": [array.dtype.str for array in block.arrays],
            "centroids": centroids.index(block.listing.centroids) if block.listing else None,
        }
        for block in snapshot.blocks
    ]
    header = {
        "fingerprint": fingerprint,
        "position": snapshot.position,
        "centroids": [{"shape": each.vectors.shape, "for": each.num_streams} for each in centroids],
        "parts": blocks,
    }
    text = json.dumps(header).encode()
    start = FORMAT + LENGTH.pack(len(text)) + text
    yield start.ljust(_aligned(len(start)), b"\0")
    arrays = [each.vectors for each in centroids]
    for block in snapshot.blocks:
        arrays += [*block.arrays, *(block.listing[1:] if block.listing else ())]
    for array in arrays:
        yield np.ascontiguousarray(array).data.cast("B") if array.size else b""
        yield bytes(_aligned(array.nbytes) - array.nbytes)


def _blocks(memory: mmap.mmap, header: dict[str, Any], offset: int) -> Iterator[SnapshotBlock]:
    def array(shape: Sequence[int], kind: str) -> NDArray[Any]:
        nonlocal offset
        values = np.frombuffer(memory, kind, int(np.prod(shape)), offset).reshape(shape)
        offset += _aligned(values.nbytes)
        return values

    centroids = [
        Centroids(array(stored["shape"], "<f4"), num_streams=stored["for"])
        for stored in header.get("centroids", [])  # none in the format before
    ]
    for block in header["parts"]:
        packing, count = Packing(*block["packing"]), block["count"]
        shapes = (count,), (packing.columns, count), (packing.planes, count), (count,)
        arrays = tuple(map(array, shapes, block["types"]))
        listing = None
        if block.get("centroids") is not None:
            used = centroids[block["centroids"]]
            listing = Listing(used, array((len(used) + 1,), "<i8"), array((count,), "<u4"))
        modality, layers = Modality(block["modality"]), tuple(block["layers"])
        yield SnapshotBlock(modality, packing, layers, arrays, listing)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
