"""The codes of all items as a FAISS index, for programs without this package.

Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim, K layers.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item
from app.store.mismatch import old_checkpoint
from model.encoder import Encoder, Vocabulary
from model.files import PRIVATE, atomic_write

IDS = ".jsonl"  # is added to the name of the file with an id and a modality a row


def export_index(items: Iterable[Item], path: Path, *, fingerprint: str, encoder: Encoder) -> None:
    """Write a FAISS index to ``path``, and the id and modality of each of its rows beside it.

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
    names, streams = [], []
    for item in items:
        for modality, stream in item.streams.items():
            names.append(json.dumps([item.id, modality]) + "\n")
            streams.append(stream.codes)
    if not streams:
        raise InvalidRequest("the index is empty: add items first (srcid index)")
    try:
        with atomic_write(path.with_name(path.name + IDS), mode=PRIVATE) as file:
            file.write("".join(names).encode())
        with atomic_write(path, mode=PRIVATE) as file:
            file.write(pq_file(encoder.vocabulary, streams))
    except OSError as error:
        raise InvalidRequest(
            f"cannot write {path} ({error.strerror or error}): free disk space, or name a file in "
            "an existing, writable folder"
        ) from error


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
