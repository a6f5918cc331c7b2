import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates
from model.encoder import Vocabulary
from tests.app.store.index_cases import cosine, expected, make_vocabulary, nearest, random_streams

KINDS = {
    "few": (13, (1, 2)),
    "nine bits": (300, (1, 2)),
    "wide": (600, (1, 2)),
    "rvq": (20, (1, 1, 2)),
}
ERROR = 1.5e-6  # a score may be rounded up here and down there


def same(found: Candidates, wanted: dict[int, float], k: int) -> None:
    """What was found is what is wanted, but for what a last digit decides."""
    scores = dict(zip(found.keys.tolist(), found.scores.tolist(), strict=True))
    assert len(scores) == len(found.keys)
    border = min(wanted.values(), default=0) if len(wanted) >= k else -2
    sure = {key for key, score in wanted.items() if score > border + ERROR}
    assert sure <= scores.keys()
    assert len(scores) >= min(k, len(wanted))
    for key, score in scores.items():
        assert score >= border - ERROR
        if key in wanted:
            assert score == pytest.approx(wanted[key], abs=ERROR)
    if len(wanted) < k:
        assert scores.keys() == wanted.keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("width", [None, 1, 3])
def test_the_best_of_streams_of_any_length_are_found(
    kind: str, layers: tuple[int, ...], width: int | None
) -> None:
    size, rows = KINDS[kind]
    vocabulary = make_vocabulary(size, layers=rows)
    index = CodeIndex(vocabulary)
    streams, first = {}, 1
    for steps in (1, 2, 5, 9):
        codes = random_streams(vocabulary, 50, steps=steps, seed=steps)
        keys = np.arange(first, first + 50)
        index.add(keys, codes)
        streams |= dict(zip(keys.tolist(), codes, strict=True))
        first += 50
    query = vocabulary.pooled(random_streams(vocabulary, 1, seed=99)[0], layers)
    scores = {key: cosine(vocabulary, own, query, layers, width) for key, own in streams.items()}
    for k in (1, 10, 300):
        found = nearest(index, query, layers=layers, k=k, width=width)
        same(found, expected(scores, k), k)
    bound = sorted(scores.values())[-20]
    found = nearest(index, query, layers=layers, k=100, width=width, least=bound - 1e-5)
    same(found, expected(scores, 100, bound - 1e-5), 100)


def test_a_short_mean_is_not_taken_for_better_than_it_is() -> None:
    """Of ten and a half units, a length that is rounded down would add a twentieth."""
    near, nearer = np.array([0.90, 0.4359]), np.array([0.92, 0.3919])  # cosines .90 and .92
    tables = np.stack([nearer, near * 10.5 / 65_000])[None].astype(np.float32)
    index = CodeIndex(Vocabulary(tables, np.array([1])))
    index.add(np.array([1, 2]), np.array([[[0]], [[1]]], np.int16))
    found = nearest(index, np.array([1, 0], np.float32), layers=(1,), k=1)
    assert (found.keys.tolist(), found.scores.tolist()) == ([1], [pytest.approx(0.92, abs=1e-4)])


@given(
    count=st.integers(1, 400),
    k=st.integers(1, 50),
    codes=st.integers(1, 30),
    steps=st.integers(1, 6),
    width=st.sampled_from([None, 1, 2]),
    allow=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_ties_removals_and_filters_leave_what_the_formula_says(
    count: int,
    k: int,
    codes: int,
    steps: int,
    width: int | None,
    allow: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    streams = random_streams(vocabulary, count, steps=steps, codes=codes, seed=seed)
    keys = np.sort(rng.permutation(10 * count)[:count]) + 1
    query = vocabulary.pooled(random_streams(vocabulary, 1, seed=seed + 1)[0], (1, 2))
    for part in np.array_split(np.arange(count), rng.integers(1, 5)):
        index.add(keys[part], streams[part])
        nearest(index, query, layers=(1, 2), k=k, width=width)  # lengths are measured on the way
    kept = rng.random(count) < rng.choice([1.0, 0.9, 0.3])
    for key in keys[~kept].tolist():
        index.remove(key)
    counts = kept & ((rng.random(count) < 0.5) | (not allow))
    assert len(index) == kept.sum()

    others = np.setdiff1d(rng.integers(1, 10 * count + 2, 50), keys)  # of other modalities
    allowed = np.union1d(keys[counts], others) if allow else None
    found = nearest(index, query, layers=(1, 2), k=k, width=width, allowed=allowed)

    scores = {
        int(keys[row]): cosine(vocabulary, streams[row], query, (1, 2), width)
        for row in np.flatnonzero(counts)
    }
    same(found, expected(scores, k), k)


def test_many_queries_at_once_find_what_each_finds_alone() -> None:
    vocabulary = make_vocabulary(300)
    index = CodeIndex(vocabulary)
    index.add(np.arange(1, 3001), random_streams(vocabulary, 3000, steps=5, codes=20))
    index.add(np.arange(4001, 4501), random_streams(vocabulary, 500, steps=2, codes=20))
    for key in range(1, 1000, 3):
        index.remove(key)
    streams = random_streams(vocabulary, 40, seed=5)
    queries = np.stack([vocabulary.pooled(own, (1, 2)) for own in streams])
    together = index.search(IndexSearch(queries, layers=(1, 2), k=7))
    for query, found in zip(queries, together, strict=True):
        alone = nearest(index, query, layers=(1, 2), k=7)
        assert sorted(zip(*map(np.ndarray.tolist, alone), strict=True)) == sorted(
            zip(*map(np.ndarray.tolist, found), strict=True)
        )


def test_a_step_that_stands_for_nothing_is_like_nothing() -> None:
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    index.add(np.array([1]), np.zeros((1, 2, 3), np.int16))
    query = np.ones(12, np.float32)
    for width in (None, 1, 2):
        found = nearest(index, query, layers=(1, 2), k=3, width=width)
        assert (found.keys.tolist(), found.scores.tolist()) == ([1], [0.0])
    nothing = nearest(index, np.zeros(12, np.float32), layers=(1, 2), k=3)
    assert nothing.scores.tolist() == [0.0]


def test_a_second_of_ten_takes_25_bytes() -> None:
    vocabulary = make_vocabulary(400, dim=4)
    index = CodeIndex(vocabulary)
    index.add(np.arange(1, 131_073), random_streams(vocabulary, 131_072, steps=10))
    assert index.nbytes == 25 * 131_072


def test_streams_added_one_by_one_take_room_for_at_most_twice_as_many() -> None:
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    codes = random_streams(vocabulary, 1000)
    for key in range(1000):
        index.add(np.array([key + 1]), codes[key : key + 1])
    (chunk,) = index.blocks[4].chunks
    assert 1000 <= chunk.room <= 2000
    np.testing.assert_array_equal(chunk.codes(slice(1000)), codes)


def test_keys_may_be_longer_than_four_bytes() -> None:
    """A key is never given out twice, so a store that lives long gets there."""
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    codes = random_streams(vocabulary, 4)
    keys = np.array([5, 2**32 - 1, 2**32, 2**40])
    index.add(keys[:1], codes[:1])
    index.add(keys[1:], codes[1:])
    for key, own in zip(keys.tolist(), codes, strict=True):
        found = nearest(index, vocabulary.pooled(own, (1, 2)), layers=(1, 2), k=1)
        assert found.keys.tolist() == [key]
    assert index.remove(2**32)
    assert not index.remove(0)  # what four bytes make of it
    assert len(index) == 3


def test_the_room_of_removed_streams_is_given_back() -> None:
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    index.add(np.arange(1, 10_001), random_streams(vocabulary, 10_000))
    before = index.nbytes
    for key in range(1, 9_001):
        index.remove(key)
    assert len(index) == 1000
    assert index.nbytes < before / 4
    for key in range(9_001, 10_001):
        index.remove(key)
    assert index.nbytes == 0


def test_streams_added_after_others_gave_back_their_room_are_found() -> None:
    vocabulary = make_vocabulary()
    index = CodeIndex(vocabulary)
    index.add(np.arange(1, 101), random_streams(vocabulary, 100))
    wanted = np.full((1, 2, 4), 7, np.int16)
    query = vocabulary.pooled(wanted[0], (1, 2))
    nearest(index, query, layers=(1, 2), k=1, width=1)  # measures lengths
    for key in range(1, 61):
        index.remove(key)
    index.add(np.array([101]), wanted)
    found = nearest(index, query, layers=(1, 2), k=1, width=1)
    assert (found.keys.tolist(), found.scores.tolist()) == ([101], [1.0])


def test_equal_vectors_of_different_codes_tie() -> None:
    """All that tie with the last of the best are returned."""
    tables = make_vocabulary().tables.copy()
    tables[:, 6] = tables[:, 5]
    vocabulary = Vocabulary(tables, np.array([1, 2]))
    index = CodeIndex(vocabulary)
    codes = np.full((4, 2, 3), 9, np.int16)
    codes[[0, 1, 2], :, 1] = [[5, 5], [6, 5], [6, 6]]
    index.add(np.arange(1, 5), codes)
    query = vocabulary.pooled(codes[0, :, 1:2], (1, 2))
    for width in (1, 2):
        found = nearest(index, query, layers=(1, 2), k=1, width=width)
        assert sorted(found.keys.tolist()) == [1, 2, 3]


def test_searches_of_several_widths_and_layers_take_turns() -> None:
    """More of them than lengths of windows are kept for."""
    vocabulary = make_vocabulary(layers=(1, 2, 2))
    index, streams = CodeIndex(vocabulary), random_streams(vocabulary, 60, steps=6)
    index.add(np.arange(60), streams)
    asked = random_streams(vocabulary, 1, seed=99)[0]
    for _ in range(2):
        for layers in ((1,), (2,), (1, 2)):
            for width in (1, 3, 4):
                query = vocabulary.pooled(asked, layers)
                scores = {
                    key: cosine(vocabulary, codes, query, layers, width)
                    for key, codes in enumerate(streams)
                }
                same(nearest(index, query, layers=layers, k=5, width=width), expected(scores, 5), 5)
