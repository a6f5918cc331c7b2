"""The compiled loops, each held against the same thing said plainly in NumPy."""

import numba
import numpy as np
import pytest

from app.store.index.blocks import Packing
from app.store.index.comparison import Comparison
from app.store.index.kernels import (
    best_cosines,
    jit,
    lengths,
    passing,
    passing_of_lists,
    passing_of_many,
    passing_windows,
    sums,
    sums_of_many,
    window_lengths,
    window_sums,
)
from tests.app.store.index_cases import cosine, make_vocabulary, random_streams

SIZES = {"bytes": 200, "nine bits": 300, "words": 600}
ROWS = {"one row a layer": (1, 2), "two rows": (1, 1, 2)}
LAYERS = [(1,), (2,), (1, 2)]


def test_without_a_folder_that_can_be_written_loops_are_compiled_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(*given: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(*given, **options)

    numba_njit = numba.njit
    monkeypatch.setattr(numba, "njit", njit)

    @jit
    def twice(value: int) -> int:
        return 2 * value

    assert twice(4) == 8


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("layers", LAYERS)
def test_sums_add_the_look_ups_of_the_compared_rows(
    size: int, steps: int, layers: tuple[int, ...]
) -> None:
    """More streams than are summed at a time, and queries that must not be mixed up."""
    vocabulary = make_vocabulary(size, layers=(1, 2, 2))
    comparison, packing = Comparison(vocabulary, layers), Packing(3, steps, size)
    codes = random_streams(vocabulary, 2500, steps=steps).astype(np.uint16)
    low, high = packing.pack(codes)
    rng = np.random.default_rng(1)
    luts = np.zeros((len(comparison.rows) + 1, size, 3), np.float32)
    luts[:-1] = rng.normal(size=(len(comparison.rows), size, 3))
    expected = np.zeros((2500, 3))
    for lut, row in zip(luts, comparison.rows, strict=False):
        expected += lut[codes[:, row]].sum(1)
    columns = comparison.columns(packing)
    many = np.full((2500, 3), 7, np.float32)
    sums_of_many(low, high, columns, luts, many)
    np.testing.assert_allclose(many, expected, atol=1e-4)
    for query in range(3):
        one = np.full(2500, 7, np.float32)
        sums(low, high, columns, np.ascontiguousarray(luts[..., query]), one)
        np.testing.assert_allclose(one, expected[:, query], atol=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_all_that_may_pass_pass_and_little_else(sign: int) -> None:
    """A norm is rounded up by less than one, a sum is off by less than the error."""
    rng = np.random.default_rng(0)
    norms = rng.integers(0, 30, 400).astype(np.uint16)  # 0: removed
    totals = rng.uniform(-30, 30, (400, 3)).astype(np.float32)
    least = np.array([0.3, 0.6, 0.9], np.float32) * np.float32(sign)
    errors = np.array([0.0, 0.1, 0.2], np.float32)
    smallest = np.minimum(least * norms[:, None], least * (norms[:, None] - 1.0)) - errors
    expected = (totals >= smallest) & (norms > 0)[:, None]
    rows, queries = np.empty((2, 1200), np.int32)
    count = passing_of_many(totals, norms, least, errors, rows, queries)
    pairs = list(zip(rows[:count].tolist(), queries[:count].tolist(), strict=True))
    assert pairs == [tuple(pair) for pair in np.argwhere(expected).tolist()]
    for query in range(3):
        column = np.ascontiguousarray(totals[:, query])
        count = passing(column, norms, float(least[query]), float(errors[query]), rows)
        assert rows[:count].tolist() == np.flatnonzero(expected[:, query]).tolist()


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("layers", LAYERS)
def test_lengths_are_those_of_the_means(rows: tuple[int, ...], layers: tuple[int, ...]) -> None:
    vocabulary = make_vocabulary(layers=rows)
    comparison = Comparison(vocabulary, layers)
    codes = random_streams(vocabulary, 60, steps=5)
    codes[0] = 0  # stands for nothing
    means = [vocabulary.pooled(stream, layers).astype(float) for stream in codes]
    norms = lengths(codes.astype(np.uint16), comparison.tables, comparison.parts, len(layers))
    np.testing.assert_allclose(norms, np.linalg.norm(means, axis=1), rtol=1e-5)
    assert norms[0] == 0


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("width", [1, 2, 5])
def test_scores_of_windows_are_those_of_the_formula(
    rows: tuple[int, ...], layers: tuple[int, ...], width: int
) -> None:
    vocabulary = make_vocabulary(layers=rows)
    comparison = Comparison(vocabulary, layers)
    codes = random_streams(vocabulary, 60, steps=5)
    codes[0] = 0
    queries = np.random.default_rng(0).normal(size=(4, 6 * len(layers))).astype(np.float32)
    towards = np.stack([comparison.towards(query) for query in queries])
    which = np.arange(60) % 4
    expected = np.array(
        [
            cosine(vocabulary, stream, queries[query], layers, width)
            for stream, query in zip(codes, which, strict=True)
        ]
    )
    streams = codes.astype(np.uint16)
    scores = best_cosines(streams, comparison.tables, comparison.parts, towards, which, width)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("width", [1, 2, 4])
def test_lengths_of_windows_are_those_of_the_means_of_their_steps(
    rows: tuple[int, ...], layers: tuple[int, ...], width: int
) -> None:
    """Also after steps that stand for nothing: sliding must not leave a remainder of others."""
    vocabulary = make_vocabulary(layers=rows)
    comparison = Comparison(vocabulary, layers)
    codes = random_streams(vocabulary, 60, steps=9)
    codes[:30, :, 4:] = 0
    steps = np.stack([vocabulary.steps(stream, layers) for stream in codes]).astype(float)
    windows = [steps[:, first : first + width].mean(1) for first in range(10 - width)]
    expected = np.linalg.norm(windows, axis=-1)
    compared = np.ascontiguousarray(codes.astype(np.uint16)[:, comparison.rows])
    norms = window_lengths(compared, comparison.grams, comparison.pairs, width)
    np.testing.assert_allclose(norms, expected, rtol=1e-6, atol=1e-7)
    assert (norms[4:, :30] == 0).all()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("width", [1, 3])
def test_sums_of_windows_add_the_look_ups_of_consecutive_steps(
    size: int, layers: tuple[int, ...], width: int
) -> None:
    vocabulary = make_vocabulary(size, layers=(1, 2, 2))
    comparison, packing = Comparison(vocabulary, layers), Packing(3, 5, size)
    codes = random_streams(vocabulary, 40, steps=5).astype(np.uint16)
    lut = np.random.default_rng(1).normal(size=(len(comparison.rows) + 1, size))
    lut = lut.astype(np.float32)
    looked_up = np.zeros((40, 5))
    for table, row in zip(lut, comparison.rows, strict=False):
        looked_up += table[codes[:, row]]
    expected = [looked_up[:, first : first + width].sum(1) for first in range(6 - width)]
    out, scratch = np.full((6 - width, 40), 7, np.float32), np.full((5, 40), 7, np.float32)
    window_sums(*packing.pack(codes), comparison.rows, lut, scratch, out)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("least", [-0.4, 0.0, 0.7])
def test_windows_that_may_pass_pass_with_bounds_of_the_best(least: float) -> None:
    """A length is rounded up by less than one, a sum is off by less than the error."""
    rng = np.random.default_rng(0)
    exact = rng.uniform(0.5, 30, (3, 500))
    cosines = rng.uniform(-1, 1, (3, 500))
    exact[:, :50] = cosines[:, :50] = 0  # windows that stand for nothing
    error = 0.2
    totals = (cosines * exact + rng.uniform(-error, error, exact.shape)).astype(np.float32)
    norms = (rng.random(500) < 0.8).astype(np.uint16)  # 0: removed
    rows, bounds = np.empty(500, np.int32), np.empty((2, 500))
    lengths_up = np.ceil(exact).astype(np.uint16)
    count = passing_windows(totals, norms, lengths_up, least, error + 1e-5, rows, bounds)
    passed, best = rows[:count], cosines.max(0)
    assert set(np.flatnonzero((best >= least) & (norms > 0))) <= set(passed.tolist())
    assert norms[passed].all()
    lower, upper = bounds[:, :count]
    assert (lower <= best[passed] + 1e-9).all()
    assert (best[passed] <= upper + 1e-9).all()
    if least > 0:
        assert passed.min() >= 50  # nothing scores 0, whatever the error


def test_what_passes_of_some_lists_is_what_passes_of_their_streams() -> None:
    """Lists that are longer than a tile, and empty; and streams that have been removed."""
    vocabulary = make_vocabulary(300)
    comparison, packing = Comparison(vocabulary, (1, 2)), Packing(2, 3, 300)
    low, high = packing.pack(random_streams(vocabulary, 5000, steps=3).astype(np.uint16))
    rng = np.random.default_rng(1)
    lut = np.zeros((3, 300), np.float32)
    lut[:2] = rng.normal(size=(2, 300))
    norms = rng.integers(0, 4, 5000).astype(np.uint16)
    starts, lists = np.array([0, 2500, 2500, 2600, 5000]), np.array([2, 1, 3])
    totals, columns = np.empty(5000, np.float32), comparison.columns(packing)
    sums(low, high, columns, lut, totals)
    found = np.empty(5000, np.int32)
    count = passing(totals[2500:], norms[2500:], 0.5, 0.1, found)
    expected = 2500 + found[:count]

    rows, passed = np.empty(2500, np.int64), np.empty(2500, np.float32)
    count, stored = passing_of_lists(
        low, high, columns, lut, norms, starts, lists, 0.5, 0.1, rows, passed
    )

    assert rows[:count].tolist() == expected.tolist()
    np.testing.assert_allclose(passed[:count], totals[expected], atol=1e-5)
    assert stored == np.count_nonzero(norms[2500:])
