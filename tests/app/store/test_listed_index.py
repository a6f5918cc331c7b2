"""Inverted lists: with all of them read, the exact scan; with some, nearly; never what is gone."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store.index import blocks
from app.store.index.code_index import CodeIndex, ListedIndex, ReadWriteLock
from app.store.index.lists import Centroids, Draft, num_lists
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates
from app.store.index.snapshots import Snapshot, Snapshots, restore, snapshot_blocks
from app.store.sqlite.views import Position
from model.encoder import Vocabulary
from model.modality import Modality
from tests.app.store.index_cases import Codes, make_vocabulary, nearest, random_streams

ALL = 10**6  # lists
VOCABULARY = make_vocabulary(300)
STREAMS = random_streams(VOCABULARY, 400, seed=3)


def arrange(index: ListedIndex) -> None:
    index.arrange(ReadWriteLock(), threading.Event())
    assert not index.is_due()


def make_listed(codes: Codes = STREAMS, *, probes: int = ALL, listed_from: int = 1) -> ListedIndex:
    """An index with these streams in lists, by keys from 1."""
    index = ListedIndex(VOCABULARY, listed_from=listed_from, probes=probes)
    index.add(np.arange(1, len(codes) + 1), codes)
    arrange(index)
    return index


def query_of(codes: Codes, layers: tuple[int, ...] = (1, 2)) -> np.ndarray:
    return VOCABULARY.pooled(codes, layers)


def pairs(found: Candidates) -> list[tuple[int, float]]:
    return sorted(zip(found.keys.tolist(), found.scores.tolist(), strict=True))


def listed_keys(index: ListedIndex) -> list[list[int]]:
    """The keys in the lists of each chunk that has any."""
    chunks = [chunk for block in index.blocks.values() for chunk in block.chunks]
    return [chunk.keys[: chunk.count].tolist() for chunk in chunks if chunk.listing]


@given(
    count=st.integers(1, 300),
    k=st.integers(1, 50),
    codes=st.integers(1, 30),
    probes=st.sampled_from([1, ALL]),
    rows=st.sampled_from([(1, 2), (1, 1, 2)]),
    layers=st.sampled_from([(1,), (1, 2)]),
    width=st.sampled_from([None, None, 1, 2]),
    least=st.sampled_from([-1.0, 0.0, 0.5]),
    allow=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_all_lists_together_are_the_scan_after_any_changes(
    count: int,
    k: int,
    codes: int,
    probes: int,
    rows: tuple[int, ...],
    layers: tuple[int, ...],
    width: int | None,
    least: float,
    allow: bool,
    seed: int,
) -> None:
    """With one list as well, if asked for as many streams as there are."""
    rng = np.random.default_rng(seed)
    vocabulary = make_vocabulary(layers=rows)
    exact, index = CodeIndex(vocabulary), ListedIndex(vocabulary, listed_from=1, probes=probes)
    own = random_streams(vocabulary, 3, seed=seed + 1)
    queries = np.stack([vocabulary.pooled(codes, layers) for codes in own])
    first = 1
    for _ in range(4):
        for steps in (2, 5):
            streams = random_streams(vocabulary, count, steps=steps, codes=codes, seed=first)
            keys = np.arange(first, first + count)
            for one in (exact, index):
                one.add(keys, streams)
            first += count
        if rng.random() < 0.6:
            arrange(index)
        for key in rng.integers(1, first, count).tolist():
            assert exact.remove(key) == index.remove(key)
        assert len(exact) == len(index)
        search = IndexSearch(
            queries,
            layers,
            k=k if probes == ALL else len(exact) + 1,
            width=width,
            least=least,
            allowed=np.flatnonzero(rng.random(first) < 0.5) if allow else None,
        )
        scanned, listed = (list(map(pairs, one.search(search))) for one in (exact, index))
        assert scanned == listed


def test_few_lists_hold_nearly_all_of_the_best_streams_of_topics() -> None:
    rng = np.random.default_rng(0)
    vocabulary = Vocabulary(rng.normal(size=(2, 400, 32)).astype(np.float32), np.array([1, 2]))
    topics = rng.integers(0, 400, (200, 2, 6))
    chosen = topics[rng.integers(0, 200, 10_000)]
    codes = np.take_along_axis(chosen, rng.integers(0, 6, (10_000, 2, 10)), axis=2)
    exact, index = CodeIndex(vocabulary), ListedIndex(vocabulary, listed_from=1, probes=8)
    for one in (exact, index):
        one.add(np.arange(1, 10_001), codes)
    arrange(index)
    found, read = [], []
    for row in range(0, 10_000, 250):
        query = vocabulary.pooled(codes[row], (1, 2))
        best = nearest(exact, query, layers=(1, 2), k=10).keys
        found.append(np.isin(best, nearest(index, query, layers=(1, 2), k=10).keys).mean())
        (chunk,) = index.blocks[10].chunks
        assert chunk.listing
        (lists,) = chunk.listing.centroids.nearest(query[None], count=8)
        read.append(np.diff(chunk.listing.starts)[lists].sum())
    assert np.mean(found) > 0.95
    assert np.mean(read) < 2000  # of 10,000


def test_each_stream_is_in_the_list_of_its_nearest_centroid() -> None:
    index = make_listed()
    (chunk,) = index.blocks[4].chunks
    assert chunk.listing
    starts, centroids = chunk.listing.starts, chunk.listing.centroids
    assert len(centroids) == num_lists(400)
    np.testing.assert_allclose(np.linalg.norm(centroids.vectors, axis=1), 1, atol=1e-5)
    assert starts[0] == 0
    assert starts[-1] == 400
    lists = np.repeat(np.arange(len(centroids)), np.diff(starts))
    for key, own, codes in zip(chunk.keys, lists, chunk.codes(slice(400)), strict=True):
        np.testing.assert_array_equal(codes, STREAMS[key - 1])
        products = centroids.vectors @ query_of(codes.astype(np.int16))
        assert products[own] == pytest.approx(products.max(), rel=1e-5)


def test_streams_are_found_before_and_after_they_are_in_lists() -> None:
    index = make_listed(STREAMS[:200], probes=1)
    index.add(np.arange(201, 401), STREAMS[200:])
    for _ in range(2):
        for row in range(150, 400, 10):
            found = nearest(index, query_of(STREAMS[row]), layers=(1, 2), k=1)
            assert row + 1 in found.keys
        arrange(index)
    assert sorted(listed_keys(index)[0]) == list(range(1, 401))


def test_few_new_streams_wait_and_many_are_put_into_lists() -> None:
    index = make_listed()
    index.add(np.arange(401, 421), STREAMS[:20])
    assert not index.is_due()
    index.add(np.arange(421, 431), STREAMS[:10])
    assert index.is_due()
    arrange(index)
    assert len(listed_keys(index)[0]) == 430


def test_there_are_no_lists_before_there_are_enough_streams() -> None:
    index = make_listed(STREAMS[:99], listed_from=100)
    assert not listed_keys(index)
    index.add(np.array([100]), STREAMS[99:100])
    arrange(index)
    assert len(listed_keys(index)[0]) == 100
    assert index.remove(5)  # and after removals, all are compared
    index._probes = 1
    assert len(nearest(index, query_of(STREAMS[0]), layers=(1, 2), k=20).keys) == 20
    exact = CodeIndex(VOCABULARY)
    exact.add(np.arange(1, 101), STREAMS[:100])
    exact.remove(5)
    search = IndexSearch(query_of(STREAMS[7])[None], (1, 2), k=20)
    assert pairs(*index.search(search)) == pairs(*exact.search(search))


def test_centroids_are_trained_anew_when_the_corpus_has_outgrown_them() -> None:
    index = make_listed(STREAMS[:100])
    old = index._centroids
    index.add(np.arange(101, 400), STREAMS[100:399])
    arrange(index)
    assert index._centroids is old
    index.add(np.array([400]), STREAMS[399:])
    arrange(index)
    assert index._centroids is not old
    (chunk,) = index.blocks[4].chunks
    assert chunk.listing
    assert chunk.listing.centroids is index._centroids
    assert chunk.count == 400


def test_a_removed_stream_is_not_found_again_when_lists_are_made() -> None:
    index = make_listed()
    for key in range(1, 101):
        assert index.remove(key)
        assert not index.remove(key)
    index.add(np.arange(401, 501), STREAMS[:100][::-1])
    arrange(index)
    assert sorted(listed_keys(index)[0]) == list(range(101, 501))
    for key in range(101, 360):  # more than half: the chunk is rewritten
        assert index.remove(key)
    (keys,) = listed_keys(index)
    assert set(range(360, 501)) < set(keys) < set(range(101, 501))
    for row in (359, 399):
        assert row + 1 in nearest(index, query_of(STREAMS[row]), layers=(1, 2), k=1).keys


class Meanwhile(ReadWriteLock):
    """Does something while lists are made: before the lock is held to put them in place."""

    def __init__(self, change: list[threading.Thread]) -> None:
        super().__init__()
        self.changes = change

    def write(self):  # type: ignore[no-untyped-def]
        for change in self.changes:
            change.run()
        self.changes = []
        return super().write()


@pytest.mark.parametrize("removed", [range(1, 40), range(1, 300)])
@pytest.mark.parametrize("layers", [(1, 2), (1,)])
def test_what_changes_while_lists_are_made_is_in_them(
    removed: range, layers: tuple[int, ...]
) -> None:
    """Many removals move streams: the lists are then made again."""
    index = ListedIndex(VOCABULARY, listed_from=1, probes=ALL)
    index.add(np.arange(1, 351), STREAMS[:350])

    def change() -> None:
        for key in removed:
            assert index.remove(key)
        index.add(np.arange(351, 401), STREAMS[350:])
        nearest(index, query_of(STREAMS[0], layers), layers=layers, k=1)

    index.arrange(Meanwhile([threading.Thread(target=change)]), threading.Event())

    exact = CodeIndex(VOCABULARY)
    exact.add(np.arange(1, 401), STREAMS)
    for key in removed:
        exact.remove(key)
    assert len(index) == len(exact)
    assert listed_keys(index)
    search = IndexSearch(query_of(STREAMS[7], layers)[None], layers, k=500)
    assert pairs(*index.search(search)) == pairs(*exact.search(search))


def test_a_stopped_index_searches_on_without_lists() -> None:
    index, stop = ListedIndex(VOCABULARY, listed_from=1, probes=1), threading.Event()
    index.add(np.arange(1, 401), STREAMS)
    stop.set()
    index.arrange(ReadWriteLock(), stop)
    assert index.is_due()
    assert not listed_keys(index)
    assert 8 in nearest(index, query_of(STREAMS[7]), layers=(1, 2), k=1).keys


def centroids_of(index: CodeIndex) -> set[Centroids]:
    chunks = [chunk for block in index.blocks.values() for chunk in block.chunks]
    return {chunk.listing.centroids for chunk in chunks if chunk.listing}


@pytest.mark.parametrize("kind", [ListedIndex, CodeIndex])
def test_lists_come_back_from_a_file_with_their_centroids(
    kind: type[CodeIndex], tmp_path: Path
) -> None:
    """Also to an index that does not use them, and each chunk with the centroids it was made by."""
    index = make_listed()
    index.add(np.arange(401, 501), random_streams(VOCABULARY, 100, steps=2))
    arrange(index)
    assert index._centroids
    others = index._centroids.vectors[:20]  # trained anew, but few of one length keep the old
    index._centroids, index._listed_from = Centroids(others, num_streams=500), 32 * 150
    index.add(np.arange(501, 601), random_streams(VOCABULARY, 100, steps=3))
    arrange(index)
    index._listed_from = 1
    index.add(np.array([601]), STREAMS[:1])
    assert [len(own) for own in listed_keys(index)] == [400, 100]
    for key in (5, 450, 550):
        index.remove(key)
    snapshots = Snapshots(tmp_path, fingerprint="aa")
    content = Snapshot(Position(1, 2, 3), snapshot_blocks({Modality.AUDIO: index}))
    read = snapshots.open(snapshots.write(content))
    other: CodeIndex
    if kind is ListedIndex:
        other = ListedIndex(VOCABULARY, listed_from=1, probes=ALL)
    else:
        other = CodeIndex(VOCABULARY)
    for block in read.blocks:
        restore(other, block)

    for one in (index, other):
        for steps in one.blocks:
            for chunk, own in zip(
                one.blocks[steps].chunks, index.blocks[steps].chunks, strict=True
            ):
                assert bool(chunk.listing) == bool(own.listing)
                if chunk.listing and own.listing:
                    vectors = chunk.listing.centroids.vectors
                    np.testing.assert_array_equal(vectors, own.listing.centroids.vectors)
                    assert chunk.listing.starts[-1] == chunk.count
    for key in (5, 450, 550):
        assert not other.remove(key)
    assert other.remove(7)
    assert index.remove(7)
    other.add(np.array([602]), STREAMS[6:7])
    index.add(np.array([602]), STREAMS[6:7])
    search = IndexSearch(query_of(STREAMS[6])[None], (1, 2), k=50)
    assert pairs(*index.search(search)) == pairs(*other.search(search))
    assert len(centroids_of(other)) == 2


def test_a_block_of_many_streams_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists lie in one chunk of any size: unpacked at once, its codes would fill the memory."""
    monkeypatch.setattr(blocks, "CHUNK", 64)
    index = make_listed()
    ((keys,), block) = listed_keys(index), index.blocks[4]
    assert len(keys) == 400
    parts = list(block.streams())
    assert [len(own) for own, _ in parts] == [64] * 6 + [16]
    for own, codes in parts:
        np.testing.assert_array_equal(codes, STREAMS[own - 1])
    exact = CodeIndex(VOCABULARY)
    exact.add(np.arange(1, 401), STREAMS)
    for layers in ((1,), (2,)):
        search = IndexSearch(query_of(STREAMS[0], layers)[None], layers, k=5)
        assert pairs(*index.search(search)) == pairs(*exact.search(search))


def test_a_draft_is_of_what_was_stored_then() -> None:
    index = make_listed()
    block = index.blocks[4]
    draft = Draft.of(block)
    index.add(np.array([401]), STREAMS[:1])
    assert draft.counts == [400]
    assert len(block.chunks) == 2
