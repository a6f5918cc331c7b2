"""The codes as a FAISS product quantizer: portable, exact, and a check of the search over codes.

Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.encoder import Vocabulary


def pq_index(vocabulary: Vocabulary, codes: NDArray[np.integer], *, steps: int) -> Any:
    """Return a ``faiss.IndexPQ`` of streams ``[R, C, T]``, whose inner products are sums.

    It has ``C * steps`` sub-quantizers whose centroids are the codebooks, so it decodes each
    stream to its steps' vectors. The rows after the last code are zero, and the first of them
    pads streams of fewer steps.

    Args:
        vocabulary: The vectors of the codes; each layer one row, fewer codes than a power of two.
        codes: The streams.
        steps: Steps of the longest stream, or more.
    """
    import faiss

    rows, size, dim = vocabulary.tables.shape
    bits = int(size).bit_length()  # of L, so that one code is left for padding
    index = faiss.IndexPQ(dim * rows * steps, rows * steps, bits, faiss.METRIC_INNER_PRODUCT)
    centroids = np.zeros((rows, steps, 2**bits, dim), np.float32)
    centroids[:, :, :size] = vocabulary.tables[:, None]
    faiss.copy_array_to_vector(centroids.ravel(), index.pq.centroids)
    index.is_trained = True
    padded = np.full((len(codes), rows, steps), size, np.int32)
    padded[:, :, : codes.shape[2]] = codes
    index.add_sa_codes(faiss.pack_bitstrings(padded.reshape(len(codes), -1), bits))
    return index


def pq_query(query: NDArray[np.float32], *, rows: int, steps: int) -> NDArray[np.float32]:
    """Return ``query`` ``[C * D]`` in the form of the index: each row's part once a step."""
    parts = query.reshape(rows, 1, -1)
    return np.ascontiguousarray(np.broadcast_to(parts, (rows, steps, parts.shape[-1])).reshape(-1))
