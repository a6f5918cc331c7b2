"""Streams of one length, packed column by column: the memory that a search goes through.

A code of a vocabulary of at most 512 takes nine bits: ten seconds of two codes each take 25 bytes
with the length of their mean.
Shape letters: R streams, C code rows, T steps, S columns (C * T, rounded up to fours), H planes
of ninth bits, K layers that are compared.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.store.index.lookups import Bytes, Doubles, Packed

CHUNK = 131072  # streams that lie together: what is copied when some are removed
FIRST = 64  # streams that a new block has room for; the room doubles up to a chunk

Codes = NDArray[np.uint16]
Norms = NDArray[np.uint16]
Layers = tuple[int, ...]
Measure = Callable[[Codes, Layers], Doubles]  # the lengths of the means of [R, C, T], in units


class Packing(NamedTuple):
    """How the codes of ``C`` rows and ``T`` steps lie in memory."""

    rows: int
    steps: int
    codebook_size: int

    @property
    def columns(self) -> int:
        """S."""
        return -(-self.rows * self.steps // 4) * 4

    @property
    def planes(self) -> int:
        """H."""
        return -(-self.columns // 8) if 256 < self.codebook_size <= 512 else 0

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Of a column."""
        return np.uint8 if self.codebook_size <= 512 else np.uint16

    def pack(self, codes: Codes) -> tuple[Packed, Bytes]:
        """Return the columns ``[S, R]`` and planes ``[H, R]`` of codes ``[R, C, T]``."""
        flat = np.zeros((8 * -(-self.columns // 8), len(codes)), np.uint16)
        flat[: self.rows * self.steps] = codes.reshape(len(codes), -1).T
        if not self.planes:
            return flat[: self.columns].astype(self.dtype), np.empty((0, len(codes)), np.uint8)
        bits = (flat >> 8).astype(np.uint8).reshape(self.planes, 8, -1)
        planes = np.packbits(bits, axis=1, bitorder="little")[:, 0]
        return (flat[: self.columns] & 255).astype(np.uint8), planes

    def unpack(self, low: Packed, high: Bytes) -> Codes:
        """Return the codes ``[R, C, T]`` of columns ``[S, R]`` and planes ``[H, R]``."""
        flat = low[: self.rows * self.steps].astype(np.uint16)
        if self.planes:
            bits = np.unpackbits(high, axis=0, bitorder="little")
            flat |= bits[: self.rows * self.steps].astype(np.uint16) << 8
        return np.ascontiguousarray(flat.T).reshape(-1, self.rows, self.steps)


class Chunk:
    """At most ``CHUNK`` streams. Rows from ``count`` on are room."""

    def __init__(self, packing: Packing, room: int) -> None:
        self.packing = packing
        self.count = 0
        self.removed = 0
        self.keys = np.empty(room, np.uint32)
        self.low: Packed = np.empty((packing.columns, room), packing.dtype)
        self.high: Bytes = np.empty((packing.planes, room), np.uint8)
        self.norms: dict[Layers, Norms] = {}  # 0: a stream that has been removed

    @property
    def room(self) -> int:
        """How many streams there is memory for."""
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the streams, without those of the keys."""
        return self.low.nbytes + self.high.nbytes + sum(own.nbytes for own in self.norms.values())

    @property
    def alive(self) -> NDArray[np.bool_]:
        """``[count]`` whether a stream is still there."""
        return next(iter(self.norms.values()))[: self.count] > 0

    def codes(self, rows: NDArray[np.integer] | slice) -> Codes:
        """Return the codes ``[R, C, T]`` of some streams."""
        return self.packing.unpack(self.low[:, rows], self.high[:, rows])

    def resized(self, room: int, keep: NDArray[np.integer] | slice) -> "Chunk":
        """Return a copy that has only the streams ``keep``, in memory for ``room``."""
        copy = Chunk(self.packing, room)
        copy.count = count = len(self.keys[keep])
        copy.keys[:count], copy.low[:, :count] = self.keys[keep], self.low[:, keep]
        copy.high[:, :count] = self.high[:, keep]
        for layers, norms in self.norms.items():
            copy.norms[layers] = np.zeros(room, np.uint16)
            copy.norms[layers][:count] = norms[keep]
        return copy


class Block:
    """The streams of one modality with the same number of steps, in the order of their keys."""

    def __init__(self, packing: Packing, measure: Measure, selections: Iterable[Layers]) -> None:
        self.packing = packing
        self.chunks: list[Chunk] = []
        self.version = 0  # grows when streams change their places
        self._measure = measure
        self._selections = list(selections)

    def __len__(self) -> int:
        return sum(chunk.count - chunk.removed for chunk in self.chunks)

    def append(self, keys: NDArray[np.int64], codes: Codes) -> None:
        """Add codes ``[R, C, T]`` under keys ``[R]`` that rise and are above those of before."""
        while len(keys):
            chunk = self._with_room(len(keys))
            end = min(chunk.count + len(keys), chunk.room)
            own, size = slice(chunk.count, end), end - chunk.count
            if keys[size - 1] > np.iinfo(chunk.keys.dtype).max:
                chunk.keys = chunk.keys.astype(np.int64)
            chunk.keys[own] = keys[:size]
            chunk.low[:, own], chunk.high[:, own] = self.packing.pack(codes[:size])
            for layers in self._selections:
                chunk.norms[layers][own] = self._norms(codes[:size], layers)
            chunk.count = end
            keys, codes = keys[size:], codes[size:]

    def remove(self, key: int) -> bool:
        """Remove the stream of that key; return whether there was one."""
        for place, chunk in enumerate(self.chunks):
            row = int(np.searchsorted(chunk.keys[: chunk.count], key))
            if row == chunk.count or chunk.keys[row] != key or not chunk.alive[row]:
                continue
            for norms in chunk.norms.values():
                norms[row] = 0
            chunk.removed += 1
            if 2 * chunk.removed > chunk.count:
                self._compact(place)
            return True
        return False

    def prepare(self, layers: Layers) -> None:
        """Measure the means of a selection of layers that has not been asked for yet."""
        if layers in self._selections:
            return
        for chunk in self.chunks:
            norms = self._norms(chunk.codes(slice(chunk.count)), layers) * chunk.alive
            chunk.norms[layers] = np.zeros(chunk.room, np.uint16)
            chunk.norms[layers][: chunk.count] = norms
        self._selections.append(layers)

    def streams(self) -> Iterator[tuple[NDArray[np.int64], Codes]]:
        """Yield the keys ``[R]`` and codes ``[R, C, T]`` of all streams, chunk by chunk."""
        for chunk in self.chunks:
            rows = np.flatnonzero(chunk.alive)
            yield chunk.keys[rows].astype(np.int64), chunk.codes(rows)

    def _norms(self, codes: Codes, layers: Layers) -> Norms:
        """Return the lengths rounded up: a score that is computed with them is not too high."""
        return np.maximum(np.ceil(self._measure(codes, layers) - 1e-9), 1).astype(np.uint16)

    def _with_room(self, wanted: int) -> Chunk:
        last = self.chunks[-1] if self.chunks else None
        if last and last.count < last.room:
            return last
        if last and last.room < CHUNK:
            room = min(CHUNK, max(2 * last.room, last.count + wanted))
            self.chunks[-1] = last.resized(room, slice(last.count))
            self.chunks[-1].removed = last.removed
        else:
            chunk = Chunk(self.packing, min(CHUNK, max(FIRST, wanted)))
            chunk.norms = {own: np.zeros(chunk.room, np.uint16) for own in self._selections}
            self.chunks.append(chunk)
        return self.chunks[-1]

    def _compact(self, place: int) -> None:
        """Write a chunk anew without what has been removed."""
        chunk = self.chunks[place]
        kept = np.flatnonzero(chunk.alive)
        self.version += 1
        if len(kept):
            room = max(FIRST, len(kept))
            self.chunks[place] = chunk.resized(room, kept)
        else:
            del self.chunks[place]
