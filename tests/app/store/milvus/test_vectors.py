"""The inner product of a stream's and a query's sparse vectors is the cosine and a constant."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.store.base import Stream
from app.store.milvus.vectors import SparseSpace, Weights
from model.encoder import Vocabulary
from model.modality import Modality

VIDEO, AUDIO = Modality.VIDEO, Modality.AUDIO
ROWS_OF_LAYER = [np.array([1, 2]), np.array([1, 1, 2, 2]), np.array([1])]


def make_vocabulary(layers: NDArray[np.int64]) -> Vocabulary:
    tables = np.random.default_rng(0).normal(size=(len(layers), 20, 6)).astype(np.float32)
    tables[:, 0] = 0  # a code that stands for nothing
    tables[0, 2] = -tables[0, 1]  # two that cancel out
    return Vocabulary(tables, layers)


def product(one: Weights, other: Weights) -> float:
    """As Milvus computes it: in float32."""
    total = np.float32(0)
    for dimension, weight in one.items():
        if dimension in other:
            total += np.float32(weight) * np.float32(other[dimension])
    return float(total)


def cosine(vocabulary: Vocabulary, codes: NDArray[np.int16], query: NDArray[np.float32]) -> float:
    layers = sorted(set(vocabulary.layers.tolist()))
    mean = vocabulary.steps(codes, layers).astype(float).mean(0)
    lengths = float(np.linalg.norm(mean) * np.linalg.norm(query.astype(float)))
    return float(mean @ query / lengths) if lengths else 0.0


@pytest.mark.parametrize("layers", ROWS_OF_LAYER, ids=str)
def test_a_product_is_the_cosine_and_a_constant(layers: NDArray[np.int64]) -> None:
    vocabulary, rng = make_vocabulary(layers), np.random.default_rng(1)
    space, every = SparseSpace(vocabulary), tuple(sorted(set(layers.tolist())))
    for steps in (1, 3, 10, 60):
        codes = rng.integers(0, 20, (len(layers), steps)).astype(np.int16)
        query = rng.normal(size=6 * len(every)).astype(np.float32)
        comparison = space.comparison(every)
        asked = space.query(VIDEO, every, comparison.lut(comparison.towards(query)))
        kept = space.item({VIDEO: Stream(codes, None), AUDIO: Stream(codes[:, ::-1], None)})
        found = product(kept, asked.weights) - asked.constant
        assert found == pytest.approx(cosine(vocabulary, codes, query), abs=asked.error)
        assert min(*kept.values(), *asked.weights.values()) > 0
        assert asked.error < 1e-3


def test_each_layer_has_lengths_of_its_own() -> None:
    vocabulary = make_vocabulary(np.array([1, 2]))
    space, codes = SparseSpace(vocabulary), np.array([[3, 4, 4], [5, 6, 7]], np.int16)
    kept = space.item({VIDEO: Stream(codes, None)})
    for row, layer in enumerate((1, 2)):
        query = vocabulary.tables[row, 9]
        comparison = space.comparison((layer,))
        asked = space.query(VIDEO, (layer,), comparison.lut(comparison.towards(query)))
        mean = vocabulary.tables[row, codes[row]].astype(float).mean(0)
        expected = mean @ query / np.linalg.norm(mean) / np.linalg.norm(query)
        found = product(kept, asked.weights) - asked.constant
        assert found == pytest.approx(expected, abs=asked.error)


def test_a_stream_that_stands_for_nothing_scores_0() -> None:
    space = SparseSpace(make_vocabulary(np.array([1, 2])))
    comparison = space.comparison((1, 2))
    asked = space.query(VIDEO, (1, 2), comparison.lut(comparison.towards(np.ones(12, np.float32))))
    kept = space.item({VIDEO: Stream(np.zeros((2, 4), np.int16), None)})
    assert product(kept, asked.weights) - asked.constant == pytest.approx(0, abs=asked.error)


def test_a_very_short_mean_is_never_scored_too_low() -> None:
    """Two codes that nearly cancel out have a mean of 1/100 of a vector's length."""
    vocabulary = make_vocabulary(np.array([1, 2]))
    vocabulary.tables[0, 2] = -0.98 * vocabulary.tables[0, 1]
    space = SparseSpace(vocabulary)
    comparison = space.comparison((1,))
    codes = np.array([[1, 2], [5, 6]], np.int16)
    kept = space.item({VIDEO: Stream(codes, None)})
    for query in (vocabulary.tables[0, 1], -vocabulary.tables[0, 1]):
        asked = space.query(VIDEO, (1,), comparison.lut(comparison.towards(query)))
        mean = vocabulary.tables[0, codes[0]].astype(float).mean(0)
        true = float(mean @ query / np.linalg.norm(mean) / np.linalg.norm(query))
        assert product(kept, asked.weights) - asked.constant > true - asked.error
    assert min(kept.values()) > 0
