"""What every store promises of a search, held against brute force."""

import numpy as np
import pytest
from pydantic import JsonValue

from app.schemas.fields import Score
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.store.base import Item, Store, Stream
from model.encoder import Vocabulary
from model.modality import Modality
from tests.contracts.store_cases import (
    AUDIO,
    BOTH,
    TEXT,
    VIDEO,
    brute_force,
    make_item,
    random_codes,
)


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

    hits = store.search(queries, SearchOptions(targets=targets, k=7), layers=layers)

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
        queries,
        SearchOptions(targets=[VIDEO], k=60, score=score, window=3, curves=True),
        layers=layers,
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
    every = store.search(query, SearchOptions(targets=[AUDIO], k=20), layers=BOTH)
    some = store.search(
        query, SearchOptions(targets=[AUDIO], k=20, threshold=every[7].score), layers=BOTH
    )
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
    ({"a.b": "c"}, [3]),
    ({"place": "San"}, [4]),
    ({"place": {"any_of": ["San", "Rome"]}, "year": True}, [4]),
    ({"place": None}, [2, 3, 5]),
    ({"album": "' OR TRUE --"}, []),
    ({"') OR TRUE --": 1}, []),
    ({}, [0, 1, 2, 3, 4, 5]),
    ({"or": [{"album": "farm"}, {"year": True}, {"a.b": "c"}]}, [0, 3, 4]),
    ({"or": [{"album": "farm", "year": 1}, {"seen": True}]}, [1]),
    ({"not": [{"album": "farm"}, {"year": {"gte": 2020}}]}, [2, 3, 4, 5]),
    ({"not": [{"seen": None}]}, [1, 2]),
    ({"not": [{"place": "San"}], "album": None}, [3, 5]),
    ({"not": [{"not": [{"place.city": {"prefix": "San "}}]}]}, [0, 1]),
    ({"and": [{"or": [{"year": 1}, {"seen": False}]}, {"not": [{"album": "town"}]}]}, [3]),
    ({"or": [{"not": [{"year": {"lt": 2020}}]}, {"album": "farm"}]}, [0, 1, 2, 4, 5]),
    ({"not": [{}]}, []),
    ({"or": None, "not": {"any_of": [None]}}, [0, 1, 2, 3, 4, 5]),
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
        query,
        SearchOptions(targets=[AUDIO, VIDEO], k=12, where=condition, score=score),
        layers=BOTH,
    )
    ids = [str(n) for n in passing]
    assert sorted(hit.item.id for hit in hits) == sorted(2 * ids)


def test_equal_scores_stand_in_the_order_of_ids_wherever_they_lie(
    store: Store, vocabulary: Vocabulary
) -> None:
    twin = {AUDIO: Stream(random_codes(5), 5.0)}
    ids = [f"{n:03}" for n in np.random.default_rng(0).permutation(150)]
    for item_id in ids:
        store.add(Item(item_id, twin, {}, None, ""), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    hits = store.search(query, SearchOptions(targets=[AUDIO], k=20), layers=BOTH)
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
    hits = store.search(query, SearchOptions(targets=[AUDIO], k=20), layers=BOTH)
    assert [hit.item.id for hit in hits] == sorted(ids)[:20]


def test_streams_of_one_item_that_tie_stand_in_the_order_of_modalities(
    store: Store, vocabulary: Vocabulary
) -> None:
    own = Stream(random_codes(5), 5.0)
    store.add(Item("a", {TEXT: own, VIDEO: own, AUDIO: own}, {}, None, ""), replace=False)
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    hits = store.search(query, SearchOptions(targets=[TEXT, VIDEO, AUDIO], k=3), layers=BOTH)
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
    hits = store.search(query, SearchOptions(targets=[VIDEO, TEXT], k=2), layers=BOTH)
    assert [(hit.modality, hit.best_second) for hit in hits] == [(VIDEO, 2), (TEXT, None)]


def test_an_empty_store_finds_nothing(store: Store, vocabulary: Vocabulary) -> None:
    query = vocabulary.pooled(random_codes(6), BOTH)[None]
    assert store.search(query, SearchOptions(targets=list(Modality), k=5), layers=BOTH) == []
