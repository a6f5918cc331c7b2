"""The index of float vectors, and FAISS beneath it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store.cosine import unit
from app.store.index.float_index import FloatIndex, VectorIndex, VectorKind
from tests.app.store.index_cases import make_vocabulary, nearest, random_streams


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_what_is_added_or_removed_after_a_search_counts_in_the_next(kind: VectorKind) -> None:
    vocabulary = make_vocabulary(400)
    codes = random_streams(vocabulary, 200)
    index = FloatIndex(vocabulary, kind=kind, approximate_from=100)
    index.add(np.arange(1, 151), codes[:150])

    def best(place: int, layers: tuple[int, ...]) -> int:
        query = vocabulary.pooled(codes[place], layers)
        return int(nearest(index, query, layers=layers, k=1).keys[0])

    for layers in ((1,), (1, 2)):  # vectors are made for each selection that is asked for
        assert best(3, layers) == 4
    index.add(np.arange(151, 201), codes[150:])
    assert index.remove(4)
    assert not index.remove(4)
    for layers in ((1,), (1, 2)):
        assert best(180, layers) == 181
        assert best(3, layers) != 4


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_best_and_all_that_tie_with_them_are_found(
    num_vectors: int, k: int, num_distinct: int, seed: int
) -> None:
    """Few distinct vectors, many copies: what a corpus with duplicates looks like."""
    rng = np.random.default_rng(seed)
    distinct = rng.normal(size=(num_distinct, 16)).astype(np.float32)
    vectors = distinct[rng.integers(0, num_distinct, num_vectors)]
    keys = rng.permutation(10 * num_vectors)[:num_vectors]
    query = rng.normal(size=16).astype(np.float32)
    index = VectorIndex(16)
    index.add(keys, vectors)

    found = index.search(query, k=k)

    cosines = (unit(vectors.astype(float)) @ unit(query.astype(float))).round(6)
    threshold = np.sort(cosines)[::-1][min(k, num_vectors) - 1]
    expected = dict(zip(keys.tolist(), cosines.tolist(), strict=True))
    actual = dict(zip(found.keys.tolist(), found.scores.tolist(), strict=True))
    assert {key for key, score in expected.items() if score > threshold + 2e-6} <= actual.keys()
    assert {
        key for key, score in expected.items() if abs(score - threshold) < 1e-9
    } <= actual.keys()
    assert all(score == pytest.approx(expected[key], abs=2e-6) for key, score in actual.items())


def test_removed_vectors_are_not_found() -> None:
    index = VectorIndex(2)
    index.add(np.array([3, 5]), np.eye(2, dtype=np.float32))
    index.remove(np.array([3]))
    assert index.search(np.ones(2, np.float32), k=5).keys.tolist() == [5]
    assert len(index) == 1


def test_a_vector_of_zeros_is_like_nothing() -> None:
    index = VectorIndex(2)
    index.add(np.array([1]), np.zeros((1, 2), np.float32))
    assert index.search(np.ones(2, np.float32), k=1).scores.tolist() == [0.0]
    assert index.search(np.zeros(2, np.float32), k=1).scores.tolist() == [0.0]


def test_an_empty_index_finds_nothing() -> None:
    assert len(VectorIndex(2).search(np.ones(2, np.float32), k=1).keys) == 0


KINDS: list[VectorKind] = ["ivf", "hnsw"]


@pytest.mark.parametrize("kind", KINDS)
def test_approximate_kinds_find_nearly_all_and_never_what_was_removed(kind: VectorKind) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = centres[rng.integers(0, 40, 3000)] + 0.5 * rng.normal(size=(3000, 16))
    vectors = vectors.astype(np.float32)
    exact, index = VectorIndex(16), VectorIndex(16, kind, approximate_from=1000)
    for part in np.array_split(np.arange(3000), 30):
        for own in (exact, index):
            own.add(part, vectors[part])
    removed = rng.permutation(3000)[:2000]
    for part in np.array_split(removed, 10):
        exact.remove(part)
        index.remove(part)
        found = [np.isin(_best(exact, query), _best(index, query)).mean() for query in vectors[:40]]
        assert np.mean(found) > 0.95
    for query in vectors[:40]:
        assert not np.isin(index.search(query, k=10).keys, removed).any()
    assert len(index) == 1000


def _best(index: VectorIndex, query: np.ndarray) -> np.ndarray:
    found = index.search(query, k=10)
    return found.keys[np.argsort(-found.scores)[:10]]
