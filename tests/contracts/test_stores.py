"""What every store promises, held against every store and against brute force."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import JsonValue

from app.errors import IndexMismatch, InvalidRequest, ItemExists
from app.filters import Where
from app.settings import IndexKind
from app.store.base import CodeCard, Companion, Item, Score, Store, Stream
from app.store.local import LocalStore
from model.encoder import Vocabulary
from model.modality import Modality
from tests.milvus_lite import open_milvus

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
SIZE, DIM = 12, 4
BOTH = (1, 2)

# With few items the other kinds are these two: tests/app/store has what they do with many.
KINDS: list[IndexKind] = ["codes", "flat"]

# Opens the store of a folder; the tests close it.
OPENERS: dict[str, Callable[[Path, Vocabulary, str], Store]] = {
    kind: lambda folder, vocabulary, own, kind=kind: LocalStore(
        folder, vocabulary, fingerprint=own, index=kind
    )
    for kind in KINDS
}
OPENERS["milvus"] = open_milvus


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
    return Item(item_id, streams, **fields)


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
    width: int | None = None,
) -> dict[tuple[str, Modality], float]:
    """Cosine of each stream, or of its best ``width`` steps in a row, with the query it is most
    like, written straight from the formula."""
    scores = {}
    for item in items:
        for modality in targets:
            if modality in item.streams:
                codes = item.streams[modality].codes
                length = min(width or codes.shape[1], codes.shape[1])
                parts = [codes[:, t : t + length] for t in range(codes.shape[1] - length + 1)]
                vectors = [vocabulary.pooled(part, layers).astype(float) for part in parts]
                scores[item.id, modality] = max(
                    float(vector @ q / np.linalg.norm(vector) / np.linalg.norm(q))
                    for q in queries.astype(float)
                    for vector in vectors
                )
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
    assert len(store.search(query, layers=BOTH, targets=[AUDIO, TEXT], k=99)) == 6


def test_of_items_with_the_same_id_the_last_is_kept(store: Store, vocabulary: Vocabulary) -> None:
    store.add(make_item("a", 1, VIDEO), replace=False)
    last = make_item("a", 3, AUDIO)
    store.add_many([make_item("a", 2), make_item("b", 2), last], replace=True)
    assert same(store.get("a"), last)
    query = vocabulary.pooled(random_codes(7), BOTH)[None]
    hits = store.search(query, layers=BOTH, targets=list(Modality), k=99)
    assert sorted((hit.item.id, hit.modality) for hit in hits) == [("a", AUDIO), ("b", AUDIO)]


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


SCORES: list[tuple[Score, int | None]] = [("mean", None), ("max", 1), ("window", 3)]


@pytest.mark.parametrize("layers", [(1,), (2,), BOTH])
@pytest.mark.parametrize(("score", "width"), SCORES)
def test_media_of_any_length_are_scored_as_the_formula_says(
    store: Store,
    vocabulary: Vocabulary,
    layers: tuple[int, ...],
    score: Score,
    width: int | None,
) -> None:
    items = [
        Item(f"{n:02}", {VIDEO: Stream(random_codes(n, 1 + n % 9), 1.0)}, {}, None, "")
        for n in range(60)
    ]
    for item in items:
        store.add(item, replace=False)
    queries = np.stack([vocabulary.pooled(random_codes(900 + n), layers) for n in range(2)])
    expected = brute_force(items, queries, vocabulary, layers, [VIDEO], width)
    hits = store.search(
        queries, layers=layers, targets=[VIDEO], k=60, score=score, window=3, curves=True
    )
    assert {hit.item.id for hit in hits} == {item.id for item in items}
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.item.id, VIDEO], abs=2e-6)
        assert hit.curve is not None
        codes, query = hit.item.streams[VIDEO].codes, queries[hit.query].astype(float)
        curve = [vocabulary.pooled(codes[:, [t]], layers) for t in range(codes.shape[1])]
        cosines = [v @ query / np.linalg.norm(v) / np.linalg.norm(query) for v in curve]
        np.testing.assert_allclose(hit.curve, cosines, atol=1e-6)
        assert hit.best_second is not None
        length = min(width or 1, codes.shape[1])
        best = vocabulary.pooled(codes[:, hit.best_second :][:, :length], layers)
        cosine = best @ query / np.linalg.norm(best) / np.linalg.norm(query)
        assert cosine == pytest.approx(max(cosines) if score == "mean" else hit.score, abs=2e-6)


def test_the_threshold_is_the_least_score(store: Store, vocabulary: Vocabulary) -> None:
    for n in range(20):
        store.add(make_item(f"{n:02}", n), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    every = store.search(query, layers=BOTH, targets=[AUDIO], k=20)
    some = store.search(query, layers=BOTH, targets=[AUDIO], k=20, threshold=every[7].score)
    assert [hit.item.id for hit in some] == [hit.item.id for hit in every[:8]]
    assert every[7].curve is None


METADATA: list[dict[str, JsonValue]] = [
    {"album": "farm", "year": 2019, "place": {"city": "San José"}},
    {"album": "Farm", "year": 2020.5, "seen": True, "place": {"city": "San Remo"}},
    {"album": "town", "year": "2020", "seen": False},
    {"album": None, "year": 1, "a.b": "c", "a[0]": 1},
    {"year": True, "place": ["San"]},
    {},
]
FILTERS: list[tuple[dict[str, object], list[int]]] = [
    ({"album": "farm"}, [0]),
    ({"album": None}, [3, 4, 5]),
    ({"year": 1}, [3]),
    ({"year": 1.0}, [3]),
    ({"year": True}, [4]),
    ({"seen": False}, [2]),
    ({"year": {"gte": 2019}}, [0, 1]),
    ({"year": {"gt": 2019, "lt": 2020.5}}, []),
    ({"year": {"gt": 1, "lte": 2020.5}}, [0, 1]),
    ({"year": {"gte": "2"}}, [2]),
    ({"place.city": {"prefix": "San "}}, [0, 1]),
    ({"place.city": {"prefix": "San J"}}, [0]),
    ({"album": {"any_of": ["farm", "town", None]}}, [0, 2, 3, 4, 5]),
    ({"year": {"any_of": [2019, True, "2020"]}}, [0, 2, 4]),
    ({"album": {"prefix": "f"}, "year": {"lt": 3000}}, [0]),
    ({"a[0]": 1}, [3]),
    ({"a.b": "c"}, []),
    ({"album": "' OR TRUE --"}, []),
    ({"') OR TRUE --": 1}, []),
    ({}, [0, 1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize(("where", "passing"), FILTERS, ids=str)
@pytest.mark.parametrize("score", ["mean", "max"])
def test_a_filter_is_applied_before_the_best_are_chosen(
    store: Store,
    vocabulary: Vocabulary,
    where: dict[str, object],
    passing: list[int],
    score: Score,
) -> None:
    for n, metadata in enumerate(METADATA):
        store.add(make_item(f"{n}", n, AUDIO, VIDEO, metadata=metadata), replace=False)
    for n in range(30):  # others, of which some are nearer
        store.add(make_item(f"other {n}", n, metadata={"album": "x", "year": -1}), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    condition = Where.model_validate({"album": {"any_of": ["farm", "Farm", "town", None]}} | where)
    hits = store.search(
        query, layers=BOTH, targets=[AUDIO, VIDEO], k=12, where=condition, score=score
    )
    ids = [str(n) for n in passing]
    assert sorted(hit.item.id for hit in hits) == sorted(2 * ids)


def test_a_pattern_of_codes_is_found_wherever_it_stands(store: Store) -> None:
    def item(item_id: str, *rows: list[int], modality: Modality = VIDEO) -> Item:
        return Item(item_id, {modality: Stream(np.array(rows, np.int16), 1.0)}, {}, None, "")

    store.add(item("c", [1, 2, 1, 2, 1], [5, 6, 5, 7, 5]), replace=False)
    store.add(item("a", [1, 2], [5, 6]), replace=False)
    store.add(item("b", [2], [6]), replace=False)
    store.add(item("a", [1, 2, 9], [5, 6, 9], modality=AUDIO), replace=True)

    def found(*rows: list[int], k: int = 9) -> list[tuple[str, Modality, int]]:
        pattern = np.array(rows, np.int16)
        places = store.occurrences(pattern, targets=[VIDEO, AUDIO], k=k)
        return [(place.item.id, place.modality, place.second) for place in places]

    assert found([1, 2], [5, 6]) == [("a", AUDIO, 0), ("c", VIDEO, 0)]
    assert found([1, 2], [-1, -1]) == [("a", AUDIO, 0), ("c", VIDEO, 0), ("c", VIDEO, 2)]
    assert found([1, 2], [-1, -1], k=2) == [("a", AUDIO, 0), ("c", VIDEO, 0)]
    assert found([1, -1, 1], [-1, 6, -1]) == [("c", VIDEO, 0)]
    assert found([2], [6]) == [("a", AUDIO, 1), ("b", VIDEO, 0), ("c", VIDEO, 1)]
    assert found([3], [6]) == []
    with pytest.raises(InvalidRequest, match="at least one code that is not -1"):
        found([-1], [-1])
    with pytest.raises(InvalidRequest, match="give 2 rows"):
        found([1])


def test_duplicates_are_the_streams_with_equal_codes_in_the_same_modality(store: Store) -> None:
    one, other = Stream(random_codes(1), 5.0), Stream(random_codes(2), 5.0)
    flat = Stream(one.codes.reshape(2, -1)[:, ::-1], 5.0)
    for item_id, streams in {
        "a": {AUDIO: one, VIDEO: other},
        "d": {VIDEO: other},
        "c": {AUDIO: one, VIDEO: other},
        "b": {AUDIO: other, VIDEO: one},  # in another modality
        "e": {AUDIO: flat},
    }.items():
        store.add(Item(item_id, streams, {}, None, ""), replace=False)
    found = [(own.item_id, own.modality) for own in store.duplicates("a")]
    assert found == [("c", AUDIO), ("c", VIDEO), ("d", VIDEO)]
    store.delete("c")
    assert [own.item_id for own in store.duplicates("a")] == ["d"]
    assert store.duplicates("e") == store.duplicates("nothing") == []


def test_a_card_counts_a_code_and_shows_its_best_seconds(
    store: Store, vocabulary: Vocabulary
) -> None:
    def stream(*rows: list[int]) -> Stream:
        return Stream(np.array(rows, np.int16), 1.0)

    pure, mixed = stream([4, 4], [1, 2]), stream([4, 0, 4, 4], [1, 1, 3, 1])
    store.add(Item("mixed", {VIDEO: mixed}, {}, None, ""), replace=False)
    store.add(Item("pure", {VIDEO: pure, AUDIO: stream([7], [4])}, {}, None, ""), replace=False)
    store.add(Item("also", {VIDEO: pure, TEXT: stream([4], [2])}, {}, None, ""), replace=False)
    card = store.card(0, 4, k=2)
    assert card.counts == {VIDEO: 7, TEXT: 1}
    places = [(place.item.id, place.modality, place.second) for place in card.best]
    assert places == [("also", VIDEO, 0), ("pure", VIDEO, 0), ("also", TEXT, 0)]
    assert store.card(0, 4, k=3).best[2].second == 2  # the longest run of mixed
    assert card.companions == [Companion(1, 1, 4), Companion(1, 2, 3)]
    assert store.card(1, 9, k=2) == CodeCard({}, [], [])
    for row, code in [(2, 0), (0, SIZE), (-1, 0)]:
        with pytest.raises(InvalidRequest, match=f"row {row} has no code {code}"):
            store.card(row, code, k=1)


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
        hits = store.search(query, layers=BOTH, targets=list(Modality), k=50)
        expected = brute_force(items, query, vocabulary, BOTH, list(Modality))
        assert {(hit.item.id, hit.modality) for hit in hits} == expected.keys()
    finally:
        store.close()
