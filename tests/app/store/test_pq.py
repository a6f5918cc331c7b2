import faiss
import numpy as np
import pytest

from app.store.index.code_index import CodeIndex
from app.store.index.pq import pq_index, pq_query
from tests.app.store.index_cases import make_vocabulary, nearest, random_streams


@pytest.mark.parametrize("size", [13, 300])
@pytest.mark.parametrize("codes", [5, None])
def test_the_portable_index_and_the_search_over_codes_agree(size: int, codes: int | None) -> None:
    """Inner products over lengths of means are the cosines, ties and padding included."""
    vocabulary = make_vocabulary(size)
    index = CodeIndex(vocabulary)
    query = vocabulary.pooled(random_streams(vocabulary, 1, seed=9)[0], (1, 2))
    towards = query / np.linalg.norm(query)
    expected, first = {}, 1
    for steps in (2, 6):
        streams = random_streams(vocabulary, 200, steps=steps, codes=codes, seed=steps)
        portable = pq_index(vocabulary, streams, steps=6)
        products, rows = portable.search(pq_query(towards, rows=2, steps=6)[None], 200)
        means = np.stack([vocabulary.pooled(own, (1, 2)) for own in streams])
        lengths = np.linalg.norm(means, axis=1)[rows[0]]
        cosines = np.divide(products[0] / steps, lengths, where=lengths > 0, out=0 * lengths)
        expected |= dict(zip((rows[0] + first).tolist(), cosines.tolist(), strict=True))
        index.add(np.arange(first, first + 200), streams)
        first += 200
    found = nearest(index, query, layers=(1, 2), k=400)
    assert sorted(found.keys.tolist()) == list(range(1, 401))
    for key, score in zip(found.keys.tolist(), found.scores.tolist(), strict=True):
        assert score == pytest.approx(expected[key], abs=3e-6)


def test_it_decodes_to_the_vectors_of_the_steps_and_can_be_kept() -> None:
    vocabulary = make_vocabulary(300)
    streams = random_streams(vocabulary, 3, steps=2)
    index = faiss.deserialize_index(faiss.serialize_index(pq_index(vocabulary, streams, steps=3)))
    vectors = index.reconstruct_n(0, 3).reshape(3, 2, 3, -1)  # [R, C, T, D]
    for row in range(2):
        np.testing.assert_array_equal(vectors[:, row, :2], vocabulary.tables[row][streams[:, row]])
    assert not vectors[:, :, 2].any()
    assert index.code_size == 7  # six codes of nine bits
