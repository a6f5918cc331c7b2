"""Query arithmetic: against the formulas."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.service.search import Query, Term
from model.encoder import Pooled
from model.modality import Modality

LAYERS = [1, 2]


VECTORS = np.random.default_rng(0).normal(size=(9, 2, 4)).astype(np.float32)  # [., K, D]


def part(number: int, weight: float = 1.0) -> Term:
    return Term({Modality.TEXT: VECTORS[number]}, weight)


def unit(vector: Pooled) -> NDArray[np.float32]:
    """Return both layers side by side, of length 1."""
    return vector.ravel() / np.linalg.norm(vector)


@pytest.mark.parametrize("layers", [[1], [2], [1, 2]])
def test_a_plain_query_is_the_vectors_of_its_layers(layers: list[int]) -> None:
    query = Query({Modality.AUDIO: VECTORS[1], Modality.VIDEO: VECTORS[3]})
    for row, number in zip(query.vectors(layers), (1, 3), strict=True):
        assert row.tolist() == [x for layer in layers for x in VECTORS[number, layer - 1].tolist()]


def test_parts_are_added_and_taken_away_by_weight() -> None:
    query = Query(
        {Modality.AUDIO: VECTORS[1], Modality.VIDEO: VECTORS[2]},
        plus=[part(5, weight=2)],
        minus=[part(6, weight=0.5)],
    )
    own = [unit(VECTORS[number]) for number in (1, 2, 5)]
    away = unit(VECTORS[6])
    expected = [own[0] + 2 * own[2] - 0.5 * away, own[1] + 2 * own[2] - 0.5 * away]
    np.testing.assert_allclose(query.vectors(LAYERS), expected, atol=1e-6)


def test_what_is_excluded_counts_for_nothing() -> None:
    excluded = [part(5), part(6), part(5)]
    vectors = Query({Modality.AUDIO: VECTORS[1]}, exclude=excluded).vectors(LAYERS)
    for number in (5, 6):
        assert abs(vectors[0] @ VECTORS[number].ravel()) < 1e-5
    assert vectors[0] @ VECTORS[1].ravel() > 0


def test_a_part_of_two_streams_is_their_mean_direction() -> None:
    both = Term({Modality.AUDIO: VECTORS[3], Modality.VIDEO: VECTORS[4]}, 1.0)
    query = Query({Modality.AUDIO: VECTORS[1]}, plus=[both])
    own = [unit(VECTORS[number]) for number in (1, 3, 4)]
    expected = own[0] + unit((own[1] + own[2]) / 2)
    np.testing.assert_allclose(query.vectors(LAYERS)[0], expected, atol=1e-6)


def test_a_query_of_which_nothing_is_left_is_refused() -> None:
    for query in (
        Query({Modality.AUDIO: VECTORS[1]}, minus=[part(1)]),
        Query({Modality.AUDIO: VECTORS[1]}, exclude=[part(1)]),
    ):
        with pytest.raises(InvalidRequest, match="nothing is left of the query"):
            query.vectors(LAYERS)
