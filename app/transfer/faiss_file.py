"""The codes of all items as a FAISS index, for programs without this package, and back.

A second file names what each row of the index is: one JSON object per line, with the fields of
``ItemFields``, of which ``duration_seconds`` is a number, and the ``modality``. The rows of an item
follow each other.
Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim, K layers.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item
from app.store.mismatch import old_checkpoint
from app.transfer.base import ExportedItem, Reader, item_of, parsed_json
from model.encoder import Encoder, Vocabulary
from model.files import PRIVATE, atomic_write
from model.modality import Modality

FAISS = ".faiss"
ROWS = ".jsonl"  # is added to the name of the index
Row = tuple[dict[str, Any], NDArray[np.int16]]  # the line of a stream, and its codes [C, T]


def export_index(items: Iterable[Item], path: Path, *, fingerprint: str, encoder: Encoder) -> None:
    """Write a FAISS index to ``path``, and what each of its rows is beside it.

    Args:
        items: The items to write.
        path: Of the index.
        fingerprint: Of the checkpoint that encoded the items.
        encoder: The checkpoint in use.

    Raises:
        IndexMismatch: The items were encoded with another checkpoint.
        InvalidRequest: There are no items, or the disk rejects the write.
    """
    if fingerprint not in ("", encoder.fingerprint):
        raise IndexMismatch(
            f"the items were encoded with checkpoint {fingerprint}, but {encoder.fingerprint} is "
            f"in use: {old_checkpoint(fingerprint)}"
        )
    lines, streams = [], []
    for item in items:
        for modality, stream in item.streams.items():
            line = {
                "id": item.id,
                "modality": modality,
                "text": item.text,
                "metadata": dict(item.metadata),
                "sha256": item.sha256,
                "duration_seconds": stream.duration_seconds,
                "fingerprint": fingerprint or encoder.fingerprint,
            }
            lines.append(json.dumps(line) + "\n")
            streams.append(stream.codes)
    if not streams:
        raise InvalidRequest("the index is empty: add items first (srcid index)")
    try:
        with atomic_write(_rows_file(path), mode=PRIVATE) as file:
            file.write("".join(lines).encode())
        with atomic_write(path, mode=PRIVATE) as file:
            file.write(pq_file(encoder.vocabulary, streams))
    except OSError as error:
        raise InvalidRequest(
            f"cannot write {path} ({error.strerror or error}): free disk space, or name a file in "
            "an existing, writable folder"
        ) from error


class FaissFile(Reader[list[Row]]):
    """An index and its rows, both of which are read into memory.

    Args:
        vocabulary: The vectors of the codes.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def rows(self, path: Path) -> Iterator[list[Row]]:
        """Yield the streams of each item."""
        lines = _rows_file(path).read_bytes().splitlines()
        streams = _streams_of(self._vocabulary, path.read_bytes())
        if len(lines) != len(streams):
            raise InvalidRequest(
                f"it has {len(streams)} rows, but {_rows_file(path)} has {len(lines)} lines: give "
                "both files as they were exported together"
            )
        rows = zip(map(_parsed, lines), streams, strict=True)
        for _, item in groupby(rows, key=lambda row: row[0].get("id")):
            yield list(item)

    def parse(self, row: list[Row]) -> ExportedItem:
        """Return the item of some streams."""
        codes, durations = {}, {}
        for line, stream in row:
            try:
                modality = Modality(line.pop("modality"))
                codes[modality], durations[modality] = stream, line.pop("duration_seconds")
            except (KeyError, ValueError):
                raise InvalidRequest(
                    f"a line has no modality or no duration_seconds: {json.dumps(line):.80}"
                ) from None
        fields = row[0][0]
        if len(codes) != len(row) or any(line != fields for line, _ in row):
            raise InvalidRequest("its lines have the same modality, or differ in other fields")
        return item_of({**fields, "duration_seconds": durations}, codes)


def pq_index(vocabulary: Vocabulary, streams: Sequence[NDArray[np.int16]]) -> Any:
    """Return a ``faiss.IndexPQ`` of streams ``[C, T]``, whose inner products are sums.

    Its first ``C * T`` sub-quantizers, ``T`` of the longest stream, decode to the vectors of the
    codes, row by row; what is after the end of a stream decodes to zeros. The last two decode to
    two numbers whose sum is the length of the sum of the stream's vectors, and zeros. A query that
    has the negative of a cosine in their places finds the streams that exceed this cosine: their
    inner product with it is positive.

    Args:
        vocabulary: The vectors of the codes.
        streams: The streams, at least one.
    """
    import faiss

    rows, size, dim = vocabulary.tables.shape
    steps = max(codes.shape[1] for codes in streams)
    bits = int(size).bit_length()  # of L, so that one code is left for padding
    columns, levels = rows * steps, 2**bits
    layers = sorted(set(vocabulary.layers.tolist()))
    lengths = np.array(
        [np.linalg.norm(vocabulary.pooled(stream, layers)) * stream.shape[1] for stream in streams]
    )
    coarse = max(float(lengths.max()), 1e-9) / (levels - 1)
    fine = coarse / (levels - 1)

    index = faiss.IndexPQ(dim * (columns + 2), columns + 2, bits, faiss.METRIC_INNER_PRODUCT)
    centroids = np.zeros((columns + 2, levels, dim), np.float32)
    by_row = centroids[:columns].reshape(rows, steps, levels, dim)
    by_row[:, :, :size] = vocabulary.tables[:, None]
    centroids[-2:, :, 0] = np.outer([coarse, fine], np.arange(levels))
    faiss.copy_array_to_vector(centroids.ravel(), index.pq.centroids)
    index.is_trained = True

    codes = np.full((len(streams), rows, steps), size, np.int32)
    for row, stream in zip(codes, streams, strict=True):
        row[:, : stream.shape[1]] = stream
    whole = np.floor(lengths / coarse)
    rest = np.rint((lengths - whole * coarse) / fine)
    numbers = np.stack([whole, rest], axis=1).astype(np.int32).clip(0, levels - 1)
    flat = np.concatenate([codes.reshape(len(codes), -1), numbers], axis=1)
    index.add_sa_codes(faiss.pack_bitstrings(flat, bits))
    return index


def pq_file(vocabulary: Vocabulary, streams: Sequence[NDArray[np.int16]]) -> bytes:
    """Return the content of a file that ``faiss.read_index`` opens; see ``pq_index``."""
    import faiss

    content: bytes = faiss.serialize_index(pq_index(vocabulary, streams)).tobytes()
    return content


def _streams_of(vocabulary: Vocabulary, content: bytes) -> list[NDArray[np.int16]]:
    """Return the streams ``[C, T]`` of a file that ``pq_file`` wrote, in the order of its rows.

    Args:
        vocabulary: The vectors of the codes.
        content: The file.

    Raises:
        InvalidRequest: It is no such file, or one of another vocabulary.
    """
    import faiss

    rows, size, dim = vocabulary.tables.shape
    try:
        index: Any = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    except RuntimeError as error:
        raise InvalidRequest(f"it is not a FAISS index ({str(error).splitlines()[0]})") from error
    steps, rest = divmod(index.pq.M - 2, rows) if isinstance(index, faiss.IndexPQ) else (0, 1)
    if rest or not steps or (index.pq.dsub, index.pq.nbits) != (dim, int(size).bit_length()):
        raise InvalidRequest("it is not an index of this checkpoint's codes by srcid store export")
    packed = faiss.vector_to_array(index.codes).reshape(index.ntotal, -1)
    codes = faiss.unpack_bitstrings(packed, index.pq.M, index.pq.nbits)[:, :-2]
    streams = codes.astype(np.int16).reshape(-1, rows, steps)
    return [own[:, : np.count_nonzero(own[0] != size)] for own in streams]


def _parsed(line: bytes) -> dict[str, Any]:
    fields = parsed_json(line)
    if not isinstance(fields, dict):
        raise InvalidRequest(f"not a JSON object: {line[:80]!r}")
    return fields


def _rows_file(path: Path) -> Path:
    return path.with_name(path.name + ROWS)
