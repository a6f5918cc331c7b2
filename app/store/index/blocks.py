"""Streams of one length, packed column by column: the memory that a search scans.

A code of a vocabulary of at most 512 takes nine bits: ten seconds of two codes each take 25 bytes,
including the length of their mean.
A chunk may lie in the order of inverted lists; its streams are then found by key through a
permutation of four bytes each.
Shape letters: R streams, C code rows, T steps, S columns (C * T, rounded up to fours), H planes
of ninth bits, K compared layers, N inverted lists.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from app.store.index.lists import Centroids

CHUNK = 131072  # streams per chunk, which is copied when some of them are removed
FIRST = 64  # streams that a new block has room for; the room doubles up to a chunk

Bytes = NDArray[np.uint8]
Packed = NDArray[np.uint8 | np.uint16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Norms = NDArray[np.uint16]
CodeArray = NDArray[np.uint16]  # [R, C, T]
Layers = tuple[int, ...]
Measure = Callable[[CodeArray, Layers], Doubles]  # -> [R] lengths of the means, in units


class Packing(NamedTuple):
    """The memory layout of the codes of ``C`` rows and ``T`` steps."""

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
        """The type of a column."""
        return np.uint8 if self.codebook_size <= 512 else np.uint16

    def pack(self, codes: CodeArray) -> tuple[Packed, Bytes]:
        """Return the columns ``[S, R]`` and planes ``[H, R]`` of codes ``[R, C, T]``."""
        flat = np.zeros((8 * -(-self.columns // 8), len(codes)), np.uint16)
        flat[: self.rows * self.steps] = codes.reshape(len(codes), -1).T
        if not self.planes:
            return flat[: self.columns].astype(self.dtype), np.empty((0, len(codes)), np.uint8)
        bits = (flat >> 8).astype(np.uint8).reshape(self.planes, 8, -1)
        planes = np.packbits(bits, axis=1, bitorder="little")[:, 0]
        return (flat[: self.columns] & 255).astype(np.uint8), planes

    def unpack(self, low: Packed, high: Bytes) -> CodeArray:
        """Return the codes ``[R, C, T]`` of columns ``[S, R]`` and planes ``[H, R]``."""
        flat = low[: self.rows * self.steps].astype(np.uint16)
        if self.planes:
            bits = np.unpackbits(high, axis=0, bitorder="little")
            flat |= bits[: self.rows * self.steps].astype(np.uint16) << 8
        return np.ascontiguousarray(flat.T).reshape(-1, self.rows, self.steps)


class Listing(NamedTuple):
    """How the streams of a chunk lie in inverted lists, one list after another."""

    centroids: "Centroids"
    starts: Ints  # [N + 1] the row at which each list begins
    order: NDArray[np.uint32]  # [R] the rows by increasing key

    def only(self, rows: NDArray[np.integer]) -> Self:
        """Return the listing of a chunk with only the increasing ``rows``."""
        places = np.full(len(self.order), -1, np.int64)
        places[rows] = np.arange(len(rows))
        order = places[self.order]
        starts = np.searchsorted(rows, self.starts)
        return type(self)(self.centroids, starts, order[order >= 0].astype(np.uint32))


class Chunk:
    """Streams by increasing key, at most ``CHUNK``; or any number in inverted lists.

    Rows from ``count`` on are free. A chunk in lists has none: it does not grow.
    """

    def __init__(self, packing: Packing, room: int) -> None:
        self.packing = packing
        self.count = 0
        self.num_alive = 0  # streams that are still stored
        self.listing: Listing | None = None
        self.keys: NDArray[np.uint32 | np.int64] = np.empty(room, np.uint32)
        self.low: Packed = np.empty((packing.columns, room), packing.dtype)
        self.high: Bytes = np.empty((packing.planes, room), np.uint8)
        self.norms: dict[Layers, Norms] = {}  # 0: a removed stream

    @property
    def room(self) -> int:
        """The number of streams that memory is allocated for."""
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the streams, without those of the keys."""
        norms = sum(norms.nbytes for norms in self.norms.values())
        return self.low.nbytes + self.high.nbytes + norms

    @property
    def alive(self) -> NDArray[np.bool_]:
        """``[count]`` whether each stream is still stored."""
        return next(iter(self.norms.values()))[: self.count] > 0

    def codes(self, rows: NDArray[np.integer] | slice) -> CodeArray:
        """Return the codes ``[R, C, T]`` of some streams."""
        return self.packing.unpack(self.low[:, rows], self.high[:, rows])

    def parts(self) -> Iterator[slice]:
        """Yield all rows in parts of at most ``CHUNK``: unpacked codes take much memory."""
        for start in range(0, self.count, CHUNK):
            yield slice(start, min(start + CHUNK, self.count))

    def rows_of(self, keys: NDArray[np.int64]) -> NDArray[np.integer]:
        """Return the rows of those of the increasing ``keys`` that are or were stored."""
        stored = self.keys[: self.count]
        keys = keys[: np.searchsorted(keys, np.iinfo(stored.dtype).max, "right")]
        near = keys.astype(stored.dtype)  # one type: otherwise all stored keys would be copied
        order = self.listing.order if self.listing else None
        rows = np.searchsorted(stored, near, sorter=order)
        near, rows = near[rows < self.count], rows[rows < self.count]
        at: NDArray[np.integer] = rows if order is None else order[rows]
        return at[stored[at] == near]

    def resized(self, room: int, rows: NDArray[np.integer] | slice) -> "Chunk":
        """Return a copy with only the streams ``rows``, in memory for ``room``."""
        copy = Chunk(self.packing, room)
        copy.count = count = len(self.keys[rows])
        copy.keys = np.empty(room, self.keys.dtype)
        copy.keys[:count], copy.low[:, :count] = self.keys[rows], self.low[:, rows]
        copy.high[:, :count] = self.high[:, rows]
        for layers, norms in self.norms.items():
            copy.norms[layers] = np.zeros(room, np.uint16)
            copy.norms[layers][:count] = norms[rows]
        copy.num_alive = int(np.count_nonzero(copy.alive))
        if self.listing and not isinstance(rows, slice):
            copy.listing = self.listing.only(rows)
        return copy


class Block:
    """The streams of one modality with the same number of steps.

    Those in inverted lists come first, in one chunk; the others follow by increasing key.
    """

    def __init__(self, packing: Packing, measure: Measure, selections: Iterable[Layers]) -> None:
        self.packing = packing
        self.chunks: list[Chunk] = []
        self.version = 0  # grows when streams move
        self._measure = measure
        self._selections = list(selections)

    def __len__(self) -> int:
        return sum(chunk.num_alive for chunk in self.chunks)

    def append(self, keys: NDArray[np.int64], codes: CodeArray) -> None:
        """Add codes ``[R, C, T]`` under increasing keys ``[R]``, larger than all before."""
        while len(keys):
            chunk = self._with_room(len(keys))
            end = min(chunk.count + len(keys), chunk.room)
            rows, size = slice(chunk.count, end), end - chunk.count
            if keys[size - 1] > np.iinfo(chunk.keys.dtype).max:
                chunk.keys = chunk.keys.astype(np.int64)
            chunk.keys[rows] = keys[:size]
            chunk.low[:, rows], chunk.high[:, rows] = self.packing.pack(codes[:size])
            for layers in self._selections:
                chunk.norms[layers][rows] = self._norms(codes[:size], layers)
            chunk.count = end
            chunk.num_alive += size
            keys, codes = keys[size:], codes[size:]

    def remove(self, key: int) -> bool:
        """Remove the stream with that key; return whether it existed."""
        for place, chunk in enumerate(self.chunks):
            rows = chunk.rows_of(np.array([key]))
            if not len(rows) or not next(iter(chunk.norms.values()))[rows[0]]:
                continue
            for norms in chunk.norms.values():
                norms[rows] = 0
            chunk.num_alive -= 1
            if 2 * chunk.num_alive < chunk.count:
                self._compact(place)
            return True
        return False

    def prepare(self, layers: Layers) -> None:
        """Measure the means of a new selection of layers."""
        if layers in self._selections:
            return
        for chunk in self.chunks:
            norms, alive = np.zeros(chunk.room, np.uint16), chunk.alive
            for rows in chunk.parts():
                norms[rows] = self._norms(chunk.codes(rows), layers) * alive[rows]
            chunk.norms[layers] = norms
        self._selections.append(layers)

    def streams(self, *, every: int = 1) -> Iterator[tuple[NDArray[np.int64], CodeArray]]:
        """Yield the keys ``[R]`` and codes ``[R, C, T]`` of each n-th stream, part by part."""
        for chunk in self.chunks:
            alive = chunk.alive
            for part in chunk.parts():
                rows = part.start + np.flatnonzero(alive[part])[::every]
                yield chunk.keys[rows].astype(np.int64), chunk.codes(rows)

    def replace(self, listed: Chunk, rows: Ints, counts: list[int]) -> None:
        """Put ``listed`` in the place of streams that it holds in the order of lists.

        Args:
            listed: Without lengths.
            rows: ``[R]`` where its streams are now, counted through the chunks.
            counts: The number of these streams in each of the first chunks.
        """
        replaced = list(zip(self.chunks, counts, strict=False))
        for layers in self._selections:
            norms = [chunk.norms[layers][:count] for chunk, count in replaced]
            listed.norms[layers] = np.concatenate(norms)[rows]
        listed.num_alive = int(np.count_nonzero(listed.alive))
        rest = self.chunks[len(counts) :]
        last, count = replaced[-1]
        if last.count > count:
            rest.insert(0, last.resized(last.count - count, slice(count, last.count)))
        self.chunks = [listed, *rest]
        self.version += 1

    def _norms(self, codes: CodeArray, layers: Layers) -> Norms:
        """Return the lengths rounded up, so that scores computed with them are not too high."""
        return np.maximum(np.ceil(self._measure(codes, layers) - 1e-9), 1).astype(np.uint16)

    def _with_room(self, count: int) -> Chunk:
        """Return the last chunk, with room for some of ``count`` more streams."""
        last = self.chunks[-1] if self.chunks and not self.chunks[-1].listing else None
        if last and last.count < last.room:
            return last
        if last and last.room < CHUNK:
            room = min(CHUNK, max(2 * last.room, last.count + count))
            self.chunks[-1] = last.resized(room, slice(last.count))
        else:
            chunk = Chunk(self.packing, min(CHUNK, max(FIRST, count)))
            chunk.norms = {layers: np.zeros(chunk.room, np.uint16) for layers in self._selections}
            self.chunks.append(chunk)
        return self.chunks[-1]

    def _compact(self, place: int) -> None:
        """Rewrite a chunk without its removed streams."""
        chunk = self.chunks[place]
        rows = np.flatnonzero(chunk.alive)
        self.version += 1
        if len(rows):
            self.chunks[place] = chunk.resized(max(FIRST, len(rows)), rows)
        else:
            del self.chunks[place]
