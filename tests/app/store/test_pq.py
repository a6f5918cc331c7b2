"""The exported FAISS index: what it decodes to, and the same best streams as the search here."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from app.store.index.code_index import CodeIndex
from app.transfer.faiss_file import pq_file, pq_index
from tests.app.store.index_cases import make_vocabulary, nearest, random_streams


@pytest.mark.parametrize("size", [13, 300])
@pytest.mark.parametrize("codes", [5, None])
@pytest.mark.parametrize("k", [1, 20])
def test_it_finds_the_streams_that_exceed_a_cosine(size: int, codes: int | None, k: int) -> None:
    """Of all lengths: the negative cosine in the places of the length makes it the border."""
    vocabulary = make_vocabulary(size)
    index, streams = CodeIndex(vocabulary), list[NDArray[np.int16]]()
    for steps in (2, 6):
        own = random_streams(vocabulary, 200, steps=steps, codes=codes, seed=steps)
        index.add(np.arange(200) + 1 + len(streams), own)
        streams += list(own)
    portable = faiss.deserialize_index(np.frombuffer(pq_file(vocabulary, streams), np.uint8))
    query = vocabulary.pooled(random_streams(vocabulary, 1, seed=9)[0], (1, 2))
    query = query / np.linalg.norm(query)
    found = nearest(index, query, layers=(1, 2), k=k)
    border = found.scores.min() - 1e-4

    asked = np.zeros((14, 6), np.float32)  # two rows of six steps, and the length
    asked[:6], asked[6:12] = query.reshape(2, -1)
    asked[12:, 0] = -border
    _, products, rows = portable.range_search(asked.reshape(1, -1), 0.0)

    means = np.stack([vocabulary.pooled(own, (1, 2)) for own in streams])
    norms = np.linalg.norm(means, axis=1)
    lengths = norms * [own.shape[1] for own in streams]
    cosines = np.divide(means @ query, norms, out=np.zeros(400, np.float32), where=norms > 0)
    levels = 16 if size == 13 else 512
    stored_to = lengths.max() / (levels - 1) ** 2 + 1e-5  # of a length
    error = np.divide(stored_to, lengths, out=np.ones(400), where=lengths > 0)
    assert set(np.flatnonzero(cosines > border + error)) <= set(rows)
    assert not set(np.flatnonzero(cosines < border - error)) & set(rows)
    assert len(rows) >= k
    assert (products > 0).all()


def test_it_decodes_to_the_vectors_of_the_steps_and_the_length_of_their_sum() -> None:
    vocabulary = make_vocabulary(300)
    streams = [*random_streams(vocabulary, 3, steps=2), *random_streams(vocabulary, 1, steps=3)]
    index = pq_index(vocabulary, streams)
    vectors = index.reconstruct_n(0, 4).reshape(4, 8, -1)  # [R, C * T + 2, D]
    by_row = vectors[:, :6].reshape(4, 2, 3, -1)
    for decoded, codes in zip(by_row, streams, strict=True):
        for row in range(2):
            steps = codes.shape[1]
            np.testing.assert_array_equal(decoded[row, :steps], vocabulary.tables[row][codes[row]])
            assert not decoded[row, steps:].any()
    lengths = np.linalg.norm(by_row.sum(2).reshape(4, -1), axis=1)
    np.testing.assert_allclose(vectors[:, 6:].sum((1, 2)), lengths, atol=1e-4)
    assert index.code_size == 9  # eight codes of nine bits
