"""What every store promises, held against every store and against brute force."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import IndexMismatch, ItemExists, StoreUnavailable
from app.store.base import Item, Store, Stream
from app.store.local import LocalStore
from model.encoder import Vocabulary
from model.modality import Modality

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
SIZE, DIM = 12, 4
BOTH = (1, 2)

# Opens the store of a folder; the tests close it.
OPENERS: dict[str, Callable[[Path, Vocabulary, str], Store]] = {
    "local": lambda folder, vocabulary, own: LocalStore(folder, vocabulary, fingerprint=own),
}


def make_vocabulary(seed: int = 0) -> Vocabulary:
    tables = np.random.default_rng(seed).normal(size=(2, SIZE, DIM)).astype(np.float32)
    return Vocabulary(tables, np.array([1, 2]))


def random_codes(seed: int, steps: int = 5) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(0, SIZE, (2, steps)).astype(np.int16)


def make_item(item_id: str, seed: int = 0, *modalities: Modality, **other: object) -> Item:
    streams = {
        m: Stream(random_codes(1000 * seed + n), None if m is TEXT else 5.0)
        for n, m in enumerate(modalities or (AUDIO,))
    }
    fields: dict[str, object] = {"metadata": {}, "text": None, "sha256": "0" * 64} | other
    return Item(item_id, streams, **fields)  # type: ignore[arg-type]  # any fields a test names


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Callable[..., Store]:
    return OPENERS[request.param]


@pytest.fixture
def vocabulary() -> Vocabulary:
    return make_vocabulary()


@pytest.fixture
def store(opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary) -> Iterator[Store]:
    opened = opener(tmp_path, vocabulary, "aa")
    yield opened
    opened.close()


def same(one: Item | None, other: Item) -> bool:
    return (
        one is not None
        and (one.id, one.metadata, one.text, one.sha256)
        == (other.id, other.metadata, other.text, other.sha256)
        and one.streams.keys() == other.streams.keys()
        and all(
            np.array_equal(one.streams[m].codes, stream.codes)
            and one.streams[m].codes.dtype == np.int16
            and one.streams[m].duration_seconds == stream.duration_seconds
            for m, stream in other.streams.items()
        )
    )


def brute_force(
    items: list[Item],
    queries: NDArray[np.float32],
    vocabulary: Vocabulary,
    layers: tuple[int, ...],
    targets: list[Modality],
) -> dict[tuple[str, Modality], float]:
    """Cosine of each stream with the query it is most like, written straight from the formula."""
    scores = {}
    for item in items:
        for modality in targets:
            if modality in item.streams:
                vector = vocabulary.pooled(item.streams[modality].codes, layers).astype(float)
                cosines = [
                    float(vector @ q / np.linalg.norm(vector) / np.linalg.norm(q))
                    for q in queries.astype(float)
                ]
                scores[item.id, modality] = max(cosines)
    return scores


def test_an_item_comes_back_as_it_was_put(store: Store) -> None:
    item = make_item(
        "ü 1.mp4",
        3,
        VIDEO,
        AUDIO,
        metadata={"album": "farm", "deep": [1, 2.5, None, {"x": True}]},
        text="a dog\x00barks",
    )
    store.add(item, replace=False)
    assert same(store.get("ü 1.mp4"), item)
    assert store.get("ü 1") is None
    assert len(store) == 1


def test_an_existing_id_is_refused_and_nothing_changes(store: Store) -> None:
    first = make_item("a", 1)
    store.add(first, replace=False)
    with pytest.raises(ItemExists, match="'a' exists"):
        store.add(make_item("a", 2), replace=False)
    assert same(store.get("a"), first)


def test_replacing_leaves_nothing_of_the_old_item(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1, AUDIO, VIDEO), replace=False)
    new = make_item("a", 2, TEXT)
    store.add(new, replace=True)
    assert same(store.get("a"), new)
    query = vocabulary.pooled(random_codes(7), BOTH)[None]
    hits = store.search(query, layers=BOTH, targets=list(Modality), k=10)
    assert [(hit.item.id, hit.modality) for hit in hits] == [("a", TEXT)]


def test_a_deleted_item_is_gone_from_everywhere(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1), replace=False)
    store.add(make_item("b", 2), replace=False)
    assert store.delete("a")
    assert not store.delete("a")
    query = vocabulary.pooled(random_codes(1000), BOTH)[None]  # what was deleted is nearest to it
    hits = store.search(query, layers=BOTH, targets=[AUDIO], k=1)
    assert [hit.item.id for hit in hits] == ["b"]
    assert store.get("a") is None
    assert len(store) == 1


def test_pages_go_through_all_items_in_the_order_of_ids(store: Store) -> None:
    for item_id in ["b", "é", "a", "c", "B"]:
        store.add(make_item(item_id, 1, AUDIO, VIDEO), replace=False)
    first = store.page(after="", limit=3)
    second = store.page(after=first[-1].id, limit=3)
    assert [item.id for item in first + second] == ["B", "a", "b", "c", "é"]
    assert store.page(after="é", limit=3) == []


@pytest.mark.parametrize("layers", [(1,), (2,), BOTH])
@pytest.mark.parametrize("targets", [[AUDIO], [VIDEO, TEXT], list(Modality)])
@pytest.mark.parametrize("num_queries", [1, 2])
def test_search_equals_brute_force(
    store: Store,
    vocabulary: Vocabulary,
    layers: tuple[int, ...],
    targets: list[Modality],
    num_queries: int,
) -> None:
    items = [make_item(f"{n:02}", n, *list(Modality)[n % 3 :]) for n in range(40)]
    for item in items:
        store.add(item, replace=False)
    queries = np.stack([vocabulary.pooled(random_codes(900 + n), layers) for n in range(2)])
    queries = queries[:num_queries]
    expected = brute_force(items, queries, vocabulary, layers, targets)

    hits = store.search(queries, layers=layers, targets=targets, k=7)

    assert len(hits) == 7
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.item.id, hit.modality], abs=2e-6)
    best = sorted(expected.values(), reverse=True)[:7]
    assert [hit.score for hit in hits] == pytest.approx(best, abs=2e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equal_scores_stand_in_the_order_of_ids_wherever_they_lie(
    store: Store, vocabulary: Vocabulary
) -> None:
    twin = {AUDIO: Stream(random_codes(5), 5.0)}
    ids = [f"{n:03}" for n in np.random.default_rng(0).permutation(150)]
    for item_id in ids:
        store.add(Item(item_id, twin, {}, None, ""), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    hits = store.search(query, layers=BOTH, targets=[AUDIO], k=20)
    assert [hit.item.id for hit in hits] == sorted(ids)[:20]


def test_the_same_seconds_in_another_order_score_the_same(
    store: Store, vocabulary: Vocabulary
) -> None:
    """Their means differ in the last bits of a float32, which must not decide the order."""
    codes, rng = random_codes(5, steps=9), np.random.default_rng(0)
    ids = [f"{n:02}" for n in rng.permutation(30)]
    for item_id in ids:
        shuffled = codes[:, rng.permutation(9)]
        store.add(Item(item_id, {AUDIO: Stream(shuffled, 9.0)}, {}, None, ""), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    hits = store.search(query, layers=BOTH, targets=[AUDIO], k=20)
    assert [hit.item.id for hit in hits] == sorted(ids)[:20]


def test_streams_of_one_item_that_tie_stand_in_the_order_of_modalities(
    store: Store, vocabulary: Vocabulary
) -> None:
    own = Stream(random_codes(5), 5.0)
    store.add(Item("a", {TEXT: own, VIDEO: own, AUDIO: own}, {}, None, ""), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    hits = store.search(query, layers=BOTH, targets=[TEXT, VIDEO, AUDIO], k=3)
    assert [hit.modality for hit in hits] == [AUDIO, VIDEO, TEXT]


def test_the_best_second_is_the_step_most_like_the_query(
    store: Store, vocabulary: Vocabulary
) -> None:
    codes = np.array([[1, 2, 3, 4], [1, 2, 3, 4]], np.int16)
    store.add(
        Item("a", {VIDEO: Stream(codes, 4.0), TEXT: Stream(codes, None)}, {}, None, ""),
        replace=False,
    )
    query = vocabulary.steps(codes, BOTH)[2][None]
    hits = store.search(query, layers=BOTH, targets=[VIDEO, TEXT], k=2)
    assert [(hit.modality, hit.best_second) for hit in hits] == [(VIDEO, 2), (TEXT, None)]


def test_an_empty_store_finds_nothing(store: Store, vocabulary: Vocabulary) -> None:
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    assert store.search(query, layers=BOTH, targets=list(Modality), k=5) == []


def test_reopening_finds_the_same_hits(
    opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary
) -> None:
    query = vocabulary.pooled(random_codes(77), BOTH)[None]

    def search(store: Store) -> list[tuple[str, Modality, float, int | None]]:
        hits = store.search(query, layers=BOTH, targets=list(Modality), k=8)
        return [(hit.item.id, hit.modality, hit.score, hit.best_second) for hit in hits]

    store = opener(tmp_path, vocabulary, "aa")
    for n in range(20):
        store.add(make_item(f"{n % 15}", n, AUDIO, VIDEO), replace=True)
    store.delete("3")
    before = search(store)
    store.close()
    store = opener(tmp_path, vocabulary, "aa")
    assert search(store) == before
    store.close()


def test_items_of_another_checkpoint_are_refused_and_kept(
    opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary
) -> None:
    store = opener(tmp_path, vocabulary, "aa")
    store.add(make_item("a"), replace=False)
    store.close()
    with pytest.raises(IndexMismatch, match=r"1 items .* checkpoint aa, but bb is in use: use the"):
        opener(tmp_path, vocabulary, "bb")
    store = opener(tmp_path, vocabulary, "aa")
    assert len(store) == 1
    store.close()


def test_an_empty_store_takes_any_checkpoint(
    opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary
) -> None:
    for fingerprint in ("aa", "bb", "aa"):
        opener(tmp_path, vocabulary, fingerprint).close()


def test_a_second_writer_is_told_who_writes(
    opener: Callable[..., Store], store: Store, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    with pytest.raises(StoreUnavailable, match=r"another process \(pid \d+\) writes to"):
        opener(tmp_path, vocabulary, "aa")


Operation = st.tuples(
    st.sampled_from(["add", "put", "delete", "reopen"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 3),
)


@given(st.lists(Operation, max_size=12))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sequence_of_changes_leaves_what_a_dict_would_hold(
    opener: Callable[..., Store],
    tmp_path_factory: pytest.TempPathFactory,
    operations: list[tuple[str, str, int]],
) -> None:
    folder, vocabulary = tmp_path_factory.mktemp("store"), make_vocabulary()
    store, model = opener(folder, vocabulary, "aa"), dict[str, Item]()
    try:
        for kind, item_id, seed in operations:
            item = make_item(item_id, seed, *list(Modality)[: seed + 1][:3])
            if kind == "reopen":
                store.close()
                store = opener(folder, vocabulary, "aa")
            elif kind == "delete":
                assert store.delete(item_id) == (model.pop(item_id, None) is not None)
            elif kind == "add" and item_id in model:
                with pytest.raises(ItemExists):
                    store.add(item, replace=False)
            else:
                store.add(item, replace=kind == "put")
                model[item_id] = item
        items = store.page(after="", limit=10)
        assert [item.id for item in items] == sorted(model)
        assert all(same(item, model[item.id]) for item in items)
        query = vocabulary.pooled(random_codes(1), BOTH)[None]
        hits = store.search(query, layers=BOTH, targets=list(Modality), k=50)
        expected = brute_force(items, query, vocabulary, BOTH, list(Modality))
        assert {(hit.item.id, hit.modality) for hit in hits} == expected.keys()
    finally:
        store.close()
