"""What a chunk holds beside its codes goes along when it grows, shrinks or comes from a file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.store.index import blocks
from app.store.index.blocks import FIRST
from app.store.index.code_index import CodeIndex
from app.store.index.snapshots import Snapshot, Snapshots, restore, snapshot_blocks
from app.store.sqlite.views import Position
from model.modality import Modality
from tests.app.store.index_cases import Codes, make_vocabulary, nearest, random_streams

VOCABULARY = make_vocabulary(300)
LAYERS = [(1, 2), (1,), (2,)]
COUNT, LONG = 100, 2**32  # streams; keys from there on do not fit into four bytes
STREAMS = random_streams(VOCABULARY, COUNT, seed=3)


def grown(index: CodeIndex, keys: list[int], tmp_path: Path) -> CodeIndex:
    """Add more streams than there is room for."""
    (chunk,) = index.blocks[4].chunks
    assert chunk.count == chunk.room == FIRST
    index.add(np.array(keys[FIRST:]), STREAMS[FIRST:])
    return index


def compacted(index: CodeIndex, keys: list[int], tmp_path: Path) -> CodeIndex:
    """Remove more than half of the streams."""
    for key in keys[10:40]:
        index.remove(key)
    (chunk,) = index.blocks[4].chunks
    assert chunk.count < 32
    return index


def restored(index: CodeIndex, keys: list[int], tmp_path: Path) -> CodeIndex:
    """Write the index to a file and read it."""
    snapshots = Snapshots(tmp_path, fingerprint="aa")
    content = Snapshot(Position(1, 2, 3), snapshot_blocks({Modality.AUDIO: index}))
    read = snapshots.open(snapshots.write(content))
    assert read.position == content.position
    other = CodeIndex(VOCABULARY)
    for block in read.blocks:
        restore(other, block)
    (chunk,) = other.blocks[4].chunks
    assert chunk.count == chunk.num_alive  # the file has no room for what was removed
    return other


def restored_and_grown(index: CodeIndex, keys: list[int], tmp_path: Path) -> CodeIndex:
    other = restored(index, keys, tmp_path)
    other.add(np.array(keys[FIRST:]), STREAMS[FIRST:])
    return other


CHANGES: list[Callable[[CodeIndex, list[int], Path], CodeIndex]] = [
    grown,
    compacted,
    restored,
    restored_and_grown,
]


@pytest.mark.parametrize("start", [1, LONG - 50, LONG + 5])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_chunk_has_the_keys_lengths_and_removals_that_it_had(
    change: Callable[[CodeIndex, list[int], Path], CodeIndex],
    start: int,
    tmp_path: Path,
) -> None:
    keys = list(range(start, start + COUNT))
    index = CodeIndex(VOCABULARY)
    index.add(np.array(keys[:FIRST]), STREAMS[:FIRST])
    for layers in LAYERS[:2]:  # lengths of these selections are measured from now on
        ask(index, STREAMS[0], layers)
    removed = keys[:10]
    for key in removed:
        assert index.remove(key)
    assert len(index) == FIRST - 10
    for layers in LAYERS:
        assert removed[3] not in ask(index, STREAMS[3], layers)

    index = change(index, keys, tmp_path)

    alive = {
        key: stream
        for block in index.blocks.values()
        for some, codes in block.streams()
        for key, stream in zip(some.tolist(), codes, strict=True)
    }
    gone = set(removed) | (set(keys[10:40]) if change is compacted else set())
    gone |= set() if change in (grown, restored_and_grown) else set(keys[FIRST:])
    assert alive.keys() == set(keys) - gone
    assert len(index) == len(alive)
    for key in (keys[45], max(alive)):
        assert (alive[key] == STREAMS[keys.index(key)]).all()
        for layers in LAYERS:
            assert key in ask(index, alive[key], layers)
    for key in gone:
        assert not index.remove(key)
    for key in sorted(alive):
        assert index.remove(key)
    assert len(index) == index.nbytes == 0


def ask(index: CodeIndex, codes: Codes, layers: tuple[int, ...]) -> list[int]:
    found = nearest(index, VOCABULARY.pooled(codes.astype(np.int16), layers), layers=layers, k=1)
    return found.keys.tolist()


def test_lengths_of_windows_are_measured_again_when_streams_move() -> None:
    """A version that stayed the same would let a draft of lists speak of other streams."""
    index = CodeIndex(VOCABULARY)
    index.add(np.arange(1, COUNT + 1), STREAMS)
    version = index.blocks[4].version
    nearest(index, VOCABULARY.pooled(STREAMS[0, :, :1], (1, 2)), layers=(1, 2), k=1, width=1)
    for key in range(1, 52):
        index.remove(key)
    assert index.blocks[4].version > version
    for key in range(52, COUNT + 1):
        query = VOCABULARY.pooled(STREAMS[key - 1, :, :1], (1, 2))
        assert key in nearest(index, query, layers=(1, 2), k=1, width=1).keys


def test_a_full_chunk_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CHUNK", 70)
    index = CodeIndex(VOCABULARY)
    for key in range(1, COUNT + 1):
        index.add(np.array([key]), STREAMS[key - 1 : key])
    assert [chunk.count for chunk in index.blocks[4].chunks] == [70, 30]
    assert [ask(index, STREAMS[row], (1, 2))[0] for row in (0, 69, 70, 99)] == [1, 70, 71, 100]


def test_what_a_snapshot_is_written_from_does_not_change_with_the_index() -> None:
    """It is written while others search and change the index, and its digest must fit."""
    index = CodeIndex(VOCABULARY)
    index.add(np.arange(1, FIRST), STREAMS[1:FIRST])
    (block,) = snapshot_blocks({Modality.AUDIO: index})
    before = [array.copy() for array in block.arrays]
    index.remove(5)
    index.add(np.array([FIRST, FIRST + 1]), STREAMS[:2])
    for array, expected in zip(block.arrays, before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_best_steps_of_streams_added_after_a_search_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "CHUNK", 70)
    index = CodeIndex(VOCABULARY)
    index.add(np.arange(1, 71), STREAMS[:70])
    query = VOCABULARY.pooled(STREAMS[75, :, :1], (1, 2))
    nearest(index, query, layers=(1, 2), k=1, width=1)  # measures lengths
    index.add(np.arange(71, 79), STREAMS[70:78])
    assert len(index.blocks[4].chunks) == 2
    assert 76 in nearest(index, query, layers=(1, 2), k=1, width=1).keys


def test_a_best_step_of_a_stream_that_was_removed_is_not_found() -> None:
    index = CodeIndex(VOCABULARY)
    index.add(np.arange(1, COUNT + 1), STREAMS)
    for key in (7, 50):
        query = VOCABULARY.pooled(STREAMS[key - 1, :, :1], (1, 2))
        assert key in nearest(index, query, layers=(1, 2), k=1, width=1).keys
        index.remove(key)
        assert key not in nearest(index, query, layers=(1, 2), k=1, width=1).keys
