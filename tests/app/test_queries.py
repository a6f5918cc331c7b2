"""Query arithmetic: against the formulas."""

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.queries import Query, QueryPart
from model.encoder import Vocabulary
from model.modality import Modality

LAYERS = [1, 2]


@pytest.fixture
def vocabulary() -> Vocabulary:
    rng = np.random.default_rng(0)
    return Vocabulary(rng.normal(size=(2, 16, 4)).astype(np.float32), np.array([1, 2]))


def stream(*codes: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]]":
    return np.array([codes, codes], np.int16)


def part(*codes: int, weight: float = 1.0) -> QueryPart:
    return QueryPart({Modality.TEXT: stream(*codes)}, weight)


def unit(vector: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> "np.ndarray":  # type: ignore[type-arg] # of any shape
    return vector / np.linalg.norm(vector)


def test_a_plain_query_is_its_pooled_vectors(vocabulary: Vocabulary) -> None:
    query = Query({Modality.AUDIO: stream(1, 2), Modality.VIDEO: stream(3)})
    vectors = query.vectors(vocabulary, LAYERS)
    assert (vectors[0] == vocabulary.pooled(stream(1, 2), LAYERS)).all()
    assert (vectors[1] == vocabulary.pooled(stream(3), LAYERS)).all()


def test_parts_are_added_and_taken_away_by_weight(vocabulary: Vocabulary) -> None:
    query = Query(
        {Modality.AUDIO: stream(1), Modality.VIDEO: stream(2)},
        plus=[part(5, weight=2)],
        minus=[part(6, 7, weight=0.5)],
    )
    own = [unit(vocabulary.pooled(stream(code), LAYERS)) for code in (1, 2, 5)]
    away = unit(vocabulary.pooled(stream(6, 7), LAYERS))
    expected = [own[0] + 2 * own[2] - 0.5 * away, own[1] + 2 * own[2] - 0.5 * away]
    np.testing.assert_allclose(query.vectors(vocabulary, LAYERS), expected, atol=1e-6)


def test_what_is_excluded_counts_for_nothing(vocabulary: Vocabulary) -> None:
    excluded = [part(5), part(6), part(5)]
    vectors = Query({Modality.AUDIO: stream(1)}, exclude=excluded).vectors(vocabulary, LAYERS)
    for code in (5, 6):
        assert abs(vectors[0] @ vocabulary.pooled(stream(code), LAYERS)) < 1e-5
    assert vectors[0] @ vocabulary.pooled(stream(1), LAYERS) > 0


def test_a_part_of_two_streams_is_their_mean_direction(vocabulary: Vocabulary) -> None:
    both = QueryPart({Modality.AUDIO: stream(3), Modality.VIDEO: stream(4)}, 1.0)
    query = Query({Modality.AUDIO: stream(1)}, plus=[both])
    own = [unit(vocabulary.pooled(stream(code), LAYERS)) for code in (1, 3, 4)]
    expected = own[0] + unit((own[1] + own[2]) / 2)
    np.testing.assert_allclose(query.vectors(vocabulary, LAYERS)[0], expected, atol=1e-6)


def test_a_query_of_which_nothing_is_left_is_refused(vocabulary: Vocabulary) -> None:
    for query in (
        Query({Modality.AUDIO: stream(1)}, minus=[part(1)]),
        Query({Modality.AUDIO: stream(1)}, exclude=[part(1)]),
    ):
        with pytest.raises(InvalidRequest, match="nothing is left of the query"):
            query.vectors(vocabulary, LAYERS)
