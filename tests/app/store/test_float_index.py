"""The index of float vectors: what changes after they were made."""

import numpy as np
import pytest

from app.store.index.float_index import FloatIndex
from app.store.index.kernels import load_kernels
from app.store.index.vector_index import VectorKind
from tests.app.store.index_cases import make_vocabulary, random_streams


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_what_is_added_or_removed_after_a_search_counts_in_the_next(kind: VectorKind) -> None:
    vocabulary = make_vocabulary(400)
    codes = random_streams(vocabulary, 200)
    index = FloatIndex(vocabulary, kernels=load_kernels(), kind=kind, approximate_from=100)
    index.add(np.arange(1, 151), codes[:150])

    def nearest(place: int, layers: tuple[int, ...]) -> int:
        query = vocabulary.pooled(codes[place], layers)
        return int(index.search(query, layers=layers, k=1).keys[0])

    for layers in ((1,), (1, 2)):  # vectors are made for each selection that is asked for
        assert nearest(3, layers) == 4
    index.add(np.arange(151, 201), codes[150:])
    assert index.remove(4)
    assert not index.remove(4)
    for layers in ((1,), (1, 2)):
        assert nearest(180, layers) == 181
        assert nearest(3, layers) != 4
