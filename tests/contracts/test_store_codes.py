"""What every store promises of the codes themselves: patterns, duplicates, cards."""

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.store.base import CodeCard, Companion, Item, Store, Stream
from model.encoder import Vocabulary
from model.modality import Modality
from tests.contracts.store_cases import AUDIO, SIZE, TEXT, VIDEO, random_codes


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
