"""What every store promises of what is put into it: there, whole, or gone, also when reopened."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import IndexMismatch, ItemExists
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.store.base import Item, Store
from model.encoder import Vocabulary
from model.modality import Modality
from tests.contracts.store_cases import (
    AUDIO,
    BOTH,
    TEXT,
    VIDEO,
    brute_force,
    make_item,
    make_vocabulary,
    random_codes,
)


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


def test_a_write_may_delete_other_items(store: Store) -> None:
    store.add_many([make_item(item_id, 1) for item_id in "abc"], replace=False)
    store.add_many([make_item("a", 2)], replace=True, delete=["b", "ghost"])
    assert [item.id for item in store.items()] == ["a", "c"]
    assert same(store.get("a"), make_item("a", 2))


def test_many_items_are_kept_together_or_not_at_all(store: Store, vocabulary: Vocabulary) -> None:
    items = [make_item(f"{n}", n, AUDIO, TEXT, metadata={"n": n}) for n in range(5)]
    store.add_many(items[:3], replace=False)
    store.add_many([], replace=False)
    with pytest.raises(ItemExists, match="'2' exists"):
        store.add_many([items[3], items[2], items[4]], replace=False)
    with pytest.raises(ItemExists, match="'3' exists"):
        store.add_many([items[3], items[4], items[3]], replace=False)
    assert [item.id for item in store.page(after="", limit=9)] == ["0", "1", "2"]
    query = vocabulary.pooled(random_codes(7), BOTH)[None]
    assert len(store.search(query, SearchOptions(targets=[AUDIO, TEXT], k=99), layers=BOTH)) == 6


def test_of_items_with_the_same_id_the_last_is_kept(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1, VIDEO), replace=False)
    last = make_item("a", 3, AUDIO)
    store.add_many([make_item("a", 2), make_item("b", 2), last], replace=True)
    assert same(store.get("a"), last)
    query = vocabulary.pooled(random_codes(7), BOTH)[None]
    hits = store.search(query, SearchOptions(targets=list(Modality), k=99), layers=BOTH)
    assert sorted((hit.item.id, hit.modality) for hit in hits) == [("a", AUDIO), ("b", AUDIO)]


def test_replacing_leaves_nothing_of_the_old_item(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1, AUDIO, VIDEO), replace=False)
    new = make_item("a", 2, TEXT)
    store.add(new, replace=True)
    assert same(store.get("a"), new)
    query = vocabulary.pooled(random_codes(7), BOTH)[None]
    hits = store.search(query, SearchOptions(targets=list(Modality), k=10), layers=BOTH)
    assert [(hit.item.id, hit.modality) for hit in hits] == [("a", TEXT)]


def test_a_deleted_item_is_gone_from_everywhere(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1), replace=False)
    store.add(make_item("b", 2), replace=False)
    assert store.delete("a")
    assert not store.delete("a")
    query = vocabulary.pooled(random_codes(1000), BOTH)[None]  # what was deleted is nearest to it
    hits = store.search(query, SearchOptions(targets=[AUDIO], k=1), layers=BOTH)
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


def paged(store: Store, limit: int, **options: object) -> str:
    return "".join(item.id for item in store.page(limit=limit, **options))


def test_a_page_has_bounds_and_is_read_from_either_end(store: Store) -> None:
    store.add_many([make_item(item_id, 1) for item_id in "cbéaBd"], replace=False)
    assert paged(store, 2, before="c") == "Ba"
    assert paged(store, 2, before="c", from_end=True) == "ab"
    assert paged(store, 9, before="c", from_end=True) == "Bab"
    assert paged(store, 2, after="a", before="d", from_end=True) == "bc"
    assert paged(store, 2, from_end=True) == "dé"
    assert paged(store, 2, before="") == paged(store, 2, after="a", before="b") == ""
    assert paged(store, 2, after="no\"'; -- such", before="é") == ""
    assert "".join(item.id for item in store.items(after="B", before="d")) == "abc"


def test_a_page_counts_only_the_items_that_match(store: Store) -> None:
    items = [make_item(f"{n:02}", 1, metadata={"even": n % 2 == 0, "n": n}) for n in range(30)]
    store.add_many(items, replace=False)
    even = Where.model_validate({"even": True})
    odd = Where.model_validate({"not": [{"even": True}, {"n": {"lt": 3}}]})
    assert paged(store, 3, after="04", where=even) == "060810"
    assert paged(store, 3, before="05", where=even, from_end=True) == "000204"
    assert paged(store, 2, where=odd) == "0305"
    assert paged(store, 2, where=odd, from_end=True) == "2729"
    assert [item.metadata["n"] for item in store.items(where=even)] == list(range(0, 30, 2))
    assert paged(store, 9, where=Where.model_validate({"even": "true"})) == ""


def test_reopening_finds_the_same_hits(
    opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary
) -> None:
    query = vocabulary.pooled(random_codes(77), BOTH)[None]

    def search(store: Store) -> list[tuple[str, Modality, float, int | None]]:
        hits = store.search(query, SearchOptions(targets=list(Modality), k=8), layers=BOTH)
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


Operation = st.tuples(
    st.sampled_from(["add", "put", "many", "delete", "reopen"]),
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
            elif kind == "many":
                others = [make_item(other, seed) for other in "abc" if other != item_id]
                store.add_many([item, *others], replace=True)
                model |= {own.id: own for own in [item, *others]}
            else:
                store.add(item, replace=kind == "put")
                model[item_id] = item
        items = store.page(after="", limit=10)
        assert [item.id for item in items] == sorted(model)
        assert all(same(item, model[item.id]) for item in items)
        query = vocabulary.pooled(random_codes(1), BOTH)[None]
        hits = store.search(query, SearchOptions(targets=list(Modality), k=50), layers=BOTH)
        expected = brute_force(items, query, vocabulary, BOTH, list(Modality))
        assert {(hit.item.id, hit.modality) for hit in hits} == expected.keys()
    finally:
        store.close()
