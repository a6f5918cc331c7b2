"""Inverted lists in a store: made in the background, saved, and followed by readers."""

import threading
from pathlib import Path

import pytest

from app.schemas.search import SearchOptions
from app.store.base import Item, Stream
from app.store.index.code_index import CodeIndex, ListedIndex
from app.store.index.lists import Centroids
from app.store.local import LISTED_FROM, LocalStore, make_index
from model.modality import Modality
from tests.app.store.index_cases import make_vocabulary, random_streams

VOCABULARY = make_vocabulary(300)
STREAMS = random_streams(VOCABULARY, 300, seed=3)


@pytest.fixture(autouse=True)
def lists_of_few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LISTED_FROM, "ivf", 100)


def open_store(folder: Path, *, read_only: bool = False, probes: int = 1) -> LocalStore:
    return LocalStore(
        folder, VOCABULARY, fingerprint="aa", read_only=read_only, index="ivf", probes=probes
    )


def items(numbers: range) -> list[Item]:
    return [
        Item(f"{n:03}", {Modality.AUDIO: Stream(STREAMS[n], 4.0)}, {}, None, "") for n in numbers
    ]


def nearest(store: LocalStore, number: int) -> str:
    query = VOCABULARY.pooled(STREAMS[number], (1, 2))[None]
    (hit, *_) = store.search(query, SearchOptions(targets=[Modality.AUDIO], k=1), layers=(1, 2))
    return hit.item.id


def num_listed(store: LocalStore) -> int:
    store._indexes.sync()
    store._indexes.arrange()  # which waits for the thread that does
    blocks = store._indexes._indexes[Modality.AUDIO].blocks.values()
    chunks = [chunk for block in blocks for chunk in block.chunks]
    return sum(chunk.num_alive for chunk in chunks if chunk.listing)


def test_lists_are_made_in_the_background_once_there_are_many_streams(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.add_many(items(range(99)), replace=False)
        assert num_listed(store) == 0
        store.add_many(items(range(99, 120)), replace=False)
        assert nearest(store, 110) == "110"
        store._indexes._arranger.join()
        blocks = store._indexes._indexes[Modality.AUDIO].blocks
        assert [chunk.listing is None for chunk in blocks[4].chunks] == [False]
        assert num_listed(store) == 120
        store.delete("007")
        store.add_many(items(range(120, 300)), replace=False)
        assert num_listed(store) == 299
        assert nearest(store, 200) == "200"
        assert nearest(store, 7) != "007"


def test_a_later_start_and_a_reader_begin_with_the_saved_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        store.add_many(items(range(250)), replace=False)
        store.compact()  # which waits for lists

    def trained(*_: object, **__: object) -> Centroids:
        raise AssertionError("they are in the snapshot")

    monkeypatch.setattr("app.store.index.code_index.trained", trained)
    with open_store(tmp_path) as store, open_store(tmp_path, read_only=True) as reader:
        for one in (store, reader):
            assert num_listed(one) == 250
            assert nearest(one, 200) == "200"
        store.add_many(items(range(250, 252)), replace=False)
        store.delete("200")
        for one in (store, reader):
            assert nearest(one, 251) == "251"
            assert nearest(one, 200) != "200"


def test_closing_stops_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stops = threading.Event(), list[threading.Event]()

    def trained(*_: object, stop: threading.Event, **__: object) -> None:
        stops.append(stop)
        begun.set()
        assert stop.wait(10)

    monkeypatch.setattr("app.store.index.code_index.trained", trained)
    with open_store(tmp_path) as store:
        store.add_many(items(range(150)), replace=False)
        assert nearest(store, 7) == "007"
        assert begun.wait(10)
        assert nearest(store, 8) == "008"  # meanwhile
    assert stops[0].is_set()
    assert not store._indexes._arranger.is_alive()


def test_auto_uses_lists_on_a_cpu_and_the_scan_on_a_gpu() -> None:
    indexes = {
        (kind, device): make_index(kind, VOCABULARY, device=device)
        for kind in ("auto", "codes", "ivf")
        for device in ("cpu", "cuda")
    }
    listed = {own for own, index in indexes.items() if isinstance(index, ListedIndex)}
    assert listed == {("auto", "cpu"), ("ivf", "cpu"), ("ivf", "cuda")}
    assert all(isinstance(index, CodeIndex) for index in indexes.values())
