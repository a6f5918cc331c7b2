"""The store on Milvus beside the one on this machine: the same answers, and its own limits."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import JsonValue

from app.errors import StoreLimit, StoreUnavailable, TooLarge
from app.schemas.fields import Score
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from app.store.base import Hit, Item, Store, Stream
from app.store.local import LocalStore
from app.store.milvus import explorer, search
from app.store.milvus.collection import Address
from app.store.milvus.store import MilvusStore
from model.encoder import Vocabulary
from model.modality import Modality
from tests.milvus_lite import address_of, milvus_serving, open_milvus

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
SIZE, STEPS, BOTH = 60, 6, (1, 2)
COUNT = 600  # of each corpus: more than are gone through, and than are asked for at first
VOCABULARY = Vocabulary(
    np.random.default_rng(0).normal(size=(2, SIZE, 8)).astype(np.float32), np.array([1, 2])
)


class Pair(NamedTuple):
    """The same items in two stores."""

    milvus: Store
    local: Store
    codes: NDArray[np.int16]  # [R, C, T]


def random_codes() -> NDArray[np.int16]:
    codes = np.random.default_rng(1).integers(0, SIZE, (COUNT, 2, STEPS))
    return codes.astype(np.int16)


def topical_codes() -> NDArray[np.int16]:
    """Ten topics of four codes a layer, and one code in ten at random: many streams are alike."""
    rng = np.random.default_rng(2)
    topics = rng.integers(0, SIZE, (10, 2, 4))
    own = topics[rng.integers(0, 10, COUNT)]  # [R, 2, 4]
    codes = np.take_along_axis(own, rng.integers(0, 4, (COUNT, 2, STEPS)), 2)
    stray = rng.random(codes.shape) < 0.1
    return np.where(stray, rng.integers(0, SIZE, codes.shape), codes).astype(np.int16)


def make_item(number: int, codes: NDArray[np.int16]) -> Item:
    metadata: dict[str, JsonValue] = {"album": "town", "year": number}
    if number % 30 == 0:
        metadata |= {"album": "farm", "note": 'a "dog"'}
    streams = {VIDEO: Stream(codes, 6.0), AUDIO: Stream(codes[:, ::-1][:, :4], 4.0)}
    return Item(f"{number * 7919 % COUNT:04}", streams, metadata, None, "")


@pytest.fixture(scope="module", params=[random_codes, topical_codes])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder, codes = tmp_path_factory.mktemp("pair"), request.param()
    with (
        open_milvus(folder, VOCABULARY, "aa") as milvus,
        LocalStore(folder, VOCABULARY, fingerprint="aa") as local,
    ):
        items = [make_item(number, own) for number, own in enumerate(codes)]
        milvus.add_many(items, replace=False)
        local.add_many(items, replace=False)
        yield Pair(milvus, local, codes)


def same(one: list[Hit], other: list[Hit]) -> bool:
    def flat(hits: list[Hit]) -> list[tuple[object, ...]]:
        return [(hit.item.id, hit.modality, hit.score, hit.best_second, hit.query) for hit in hits]

    return flat(one) == flat(other)


@pytest.mark.parametrize(
    ("layers", "score"), [((1,), "mean"), (BOTH, "mean"), ((2,), "max"), (BOTH, "max")]
)
def test_the_best_ten_are_those_of_the_local_index(
    pair: Pair, layers: tuple[int, ...], score: Score
) -> None:
    rng = np.random.default_rng(3)
    for number in range(2 if score == "mean" else 1):
        query = pair.codes[number].copy()
        query[:, :2] = rng.integers(0, SIZE, (2, 2))
        queries = np.stack(
            [VOCABULARY.pooled(own, layers) for own in (query, pair.codes[number + 5])]
        )
        options = SearchOptions(targets=[VIDEO, AUDIO], k=10, score=score)
        found = pair.milvus.search(queries[: number + 1], options, layers=layers)
        expected = pair.local.search(queries[: number + 1], options, layers=layers)
        assert len(found) == 10
        assert same(found, expected)


@pytest.mark.parametrize("score", ["mean", "max", "window"])
@pytest.mark.parametrize(
    "where",
    [
        {"album": "farm"},
        {"note": 'a "dog"'},
        {"year": {"gte": 100, "lt": 130}},
        {"album": {"prefix": "to"}},
    ],
    ids=str,
)
def test_the_best_ten_that_pass_a_filter_are_those_of_the_local_index(
    pair: Pair, where: dict[str, object], score: Score
) -> None:
    query = VOCABULARY.pooled(pair.codes[3], BOTH)[None]
    condition = Where.model_validate(where)
    found, expected = (
        store.search(
            query, SearchOptions(targets=[VIDEO], k=10, score=score, where=condition), layers=BOTH
        )
        for store in (pair.milvus, pair.local)
    )
    assert len(found) == 10
    assert same(found, expected)


def test_windows_among_more_than_a_few_are_those_of_the_local_index(pair: Pair) -> None:
    query = VOCABULARY.pooled(pair.codes[3], BOTH)[None]
    found, expected = (
        store.search(
            query, SearchOptions(targets=[VIDEO], k=10, score="window", window=2), layers=BOTH
        )
        for store in (pair.milvus, pair.local)
    )
    assert same(found, expected)


def test_patterns_cards_and_duplicates_are_those_of_the_local_index(pair: Pair) -> None:
    one, other = pair.milvus, pair.local
    pattern = pair.codes[4][:, 1:3]
    for rows in (pattern, np.where([[True, False], [False, True]], pattern, -1).astype(np.int16)):
        places = one.occurrences(rows, targets=[AUDIO, VIDEO], k=5)
        expected = other.occurrences(rows, targets=[AUDIO, VIDEO], k=5)
        assert [(p.item.id, p.modality, p.second) for p in places] == [
            (p.item.id, p.modality, p.second) for p in expected
        ]
    code = int(pair.codes[4, 1, 0])
    card, expected_card = one.card(1, code, k=4), other.card(1, code, k=4)
    assert card.counts == expected_card.counts
    assert card.companions == expected_card.companions
    assert [(p.item.id, p.modality, p.second) for p in card.best] == [
        (p.item.id, p.modality, p.second) for p in expected_card.best
    ]
    for item in other.page(after="", limit=5):
        assert one.duplicates(item.id) == other.duplicates(item.id)


ODD_TEXTS = ['a"b', "a\\b", "a%b", "a_b", "ab", "a'b", "line\nfeed", "ü", "\u200b"]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=repr)
def test_texts_that_expressions_could_misread_are_told_apart(tmp_path: Path, text: str) -> None:
    with open_milvus(tmp_path, VOCABULARY, "aa") as store:
        codes = random_codes()
        for number, own in enumerate(ODD_TEXTS):
            streams = {VIDEO: Stream(codes[number], 6.0)}
            store.add(Item(f"{number} {own}", streams, {"a": own}, None, ""), replace=False)
        query = VOCABULARY.pooled(codes[0], BOTH)[None]
        for condition in (text, {"prefix": text}, {"gte": text, "lte": text}):
            where = Where.model_validate({"a": condition})
            hits = store.search(
                query, SearchOptions(targets=[VIDEO], k=9, where=where), layers=BOTH
            )
            assert [hit.item.metadata["a"] for hit in hits] == [text]
        own = f"{ODD_TEXTS.index(text)} {text}"
        assert store.get(own) is not None
        assert [item.id for item in store.page(after=own, limit=1)] == sorted(
            f"{n} {t}" for n, t in enumerate(ODD_TEXTS)
        )[ODD_TEXTS.index(text) + 1 :][:1]


def test_numbers_beyond_a_float_are_told_apart(tmp_path: Path) -> None:
    values = [2**53, 2**53 + 1, -(2**63), 10**400, 1e-7, -0.5]
    with open_milvus(tmp_path, VOCABULARY, "aa") as store:
        for number, value in enumerate(values):
            streams = {VIDEO: Stream(random_codes()[number], 6.0)}
            store.add(Item(str(number), streams, {"n": value}, None, ""), replace=False)
            found = store.get(str(number))
            assert found is not None
            assert found.metadata["n"] == value

        def passing(condition: object) -> list[str]:
            query = VOCABULARY.pooled(random_codes()[0], BOTH)[None]
            where = Where.model_validate({"n": condition})
            hits = store.search(
                query, SearchOptions(targets=[VIDEO], k=9, where=where), layers=BOTH
            )
            return sorted(hit.item.id for hit in hits)

        assert passing(2**53 + 1) == ["1"]
        assert passing({"gt": 2**53}) == ["1", "3"]
        assert passing({"any_of": [1e-7, -(2**63)]}) == ["2", "4"]
        assert passing({"lt": 0}) == ["2", "5"]


def test_two_processes_work_on_one_collection(tmp_path: Path) -> None:
    codes = random_codes()
    query = VOCABULARY.pooled(codes[0], BOTH)[None]
    with (
        open_milvus(tmp_path, VOCABULARY, "aa") as one,
        open_milvus(tmp_path, VOCABULARY, "aa") as other,
    ):
        one.add(make_item(1, codes[0]), replace=False)
        hits = other.search(query, SearchOptions(targets=[VIDEO], k=1), layers=BOTH)
        assert [hit.item.id for hit in hits] == [make_item(1, codes[0]).id]
        assert other.delete(hits[0].item.id)
        assert len(one) == 0


def test_a_reader_makes_no_collection(tmp_path: Path) -> None:
    address = address_of(tmp_path)
    with pytest.raises(StoreUnavailable, match="does not exist: index media first"):
        MilvusStore(address, VOCABULARY, fingerprint="aa", read_only=True)
    open_milvus(tmp_path, VOCABULARY, "aa").close()
    MilvusStore(address, VOCABULARY, fingerprint="bb", read_only=True).close()
    open_milvus(tmp_path, VOCABULARY, "aa").close()


def test_milvus_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pymilvus", reason="needs pip install 'srcid[cluster]'")
    address = Address("http://root:secret@127.0.0.1:9", "srcid")
    monkeypatch.setattr("app.store.milvus.collection.SECONDS", 0.2)
    with pytest.raises(StoreUnavailable, match=r"'srcid' at 127.0.0.1:9 cannot be used") as caught:
        MilvusStore(address, VOCABULARY, fingerprint="aa")
    assert "secret" not in str(caught.value)


def test_milvus_that_has_gone_is_told_at_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as running, ExitStack() as opened:
        url = running.enter_context(milvus_serving(tmp_path))
        address = Address(url, "srcid")
        store = opened.enter_context(MilvusStore(address, VOCABULARY, fingerprint="aa"))
        item = make_item(1, random_codes()[0])
        store.add(item, replace=False)
        running.close()
        monkeypatch.setattr("app.store.milvus.collection.SECONDS", 0.1)
        query = VOCABULARY.pooled(random_codes()[0], BOTH)[None]
        calls: list[Callable[[], object]] = [
            lambda: store.get(item.id),
            lambda: store.page(after="", limit=1),
            lambda: store.add(item, replace=True),
            lambda: store.delete(item.id),
            lambda: store.search(query, SearchOptions(targets=[VIDEO], k=1), layers=BOTH),
            lambda: len(store),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable, match="check that Milvus runs there"):
                call()


def test_what_milvus_does_not_take_is_refused_before(tmp_path: Path) -> None:
    with open_milvus(tmp_path, VOCABULARY, "aa") as store:
        item = make_item(1, random_codes()[0])
        large = Item("a", item.streams, {"note": 70_000 * "x"}, None, "")
        with pytest.raises(TooLarge, match="give less metadata"):
            store.add(large, replace=False)
        assert len(store) == 0


def test_what_would_go_through_too_many_items_says_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_ROWS", 599)
    monkeypatch.setattr(explorer, "MOST_ROWS", 5)
    query = VOCABULARY.pooled(pair.codes[0], BOTH)[None]
    with pytest.raises(StoreLimit, match="600 items match the filter"):
        pair.milvus.search(query, SearchOptions(targets=[VIDEO], k=3, score="window"), layers=BOTH)
    with pytest.raises(StoreLimit, match="more than 5 items"):
        pair.milvus.card(0, int(pair.codes[0, 0, 0]), k=3)


def test_a_filter_that_milvus_cannot_be_asked_for_and_few_pass_says_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_HITS", 100)
    query = VOCABULARY.pooled(pair.codes[0], BOTH)[None]
    where = Where.model_validate({"album": 'no "such"'})
    with pytest.raises(StoreLimit, match="of the 100 nearest items"):
        pair.milvus.search(query, SearchOptions(targets=[VIDEO], k=3, where=where), layers=BOTH)


def test_more_ties_than_milvus_finds_at_once_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_HITS", 64)
    codes = random_codes()[0]
    with open_milvus(tmp_path, VOCABULARY, "aa") as store:
        for number in range(70):
            store.add(Item(f"{number:02}", {VIDEO: Stream(codes, 6.0)}, {}, None, ""), replace=True)
        query = VOCABULARY.pooled(codes, BOTH)[None]
        hits = store.search(query, SearchOptions(targets=[VIDEO], k=5), layers=BOTH)
        assert [hit.score for hit in hits] == [1.0] * 5
