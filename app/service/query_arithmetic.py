"""Query arithmetic: like this, more like that, without a third.

Shape letters: N query vectors, K layers, D hidden dim.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.engine import Encoded
from app.errors import InvalidRequest
from app.schemas.search import SearchOptions
from app.store.cosine import unit
from model.encoder import Pooled, side_by_side
from model.modality import Modality

EPSILON = 1e-6  # length below which nothing is left of a unit vector


class Term(NamedTuple):
    """Something that a query should be more like, less like, or free of."""

    streams: Mapping[Modality, Pooled]
    weight: float  # the query itself has 1


class Query(NamedTuple):
    """What is searched for. Each stream is a query of its own; all are changed in the same way."""

    streams: Mapping[Modality, Pooled]
    plus: Sequence[Term] = ()
    minus: Sequence[Term] = ()
    exclude: Sequence[Term] = ()
    errors: Mapping[Modality, float] | None = None  # of the streams, see Encoder.quantize

    @property
    def is_plain(self) -> bool:
        """Whether nothing is added, subtracted or excluded."""
        return not (self.plus or self.minus or self.exclude)

    def vectors(self, layers: Sequence[int]) -> NDArray[np.float32]:
        """Return ``[N, len(layers) * D]``, to be compared by cosine.

        Terms are unit vectors, added and subtracted by weight. Exclusion comes last: it makes the
        query orthogonal to the excluded terms, so that similarity to them does not count.

        Raises:
            InvalidRequest: Nothing is left of the query.
        """
        vectors = np.stack([side_by_side(pooled, layers) for pooled in self.streams.values()])
        if self.is_plain:
            return vectors
        changed = unit(vectors.astype(np.float64))
        for sign, terms in ((1, self.plus), (-1, self.minus)):
            for term in terms:
                changed = changed + sign * term.weight * _direction(term, layers)
        if self.exclude:
            basis = _basis(np.stack([_direction(term, layers) for term in self.exclude]))
            changed = changed - changed @ basis.T @ basis
        if (np.linalg.norm(changed, axis=-1) < EPSILON).any():
            raise InvalidRequest(
                "nothing is left of the query after minus and exclude: remove less"
            )
        return changed.astype(np.float32)


def query_of(encoded: Encoded, terms: Sequence[Encoded], options: SearchOptions) -> Query:
    """Return a query.

    Args:
        encoded: What is searched for.
        terms: The encoded ``plus``, ``minus`` and ``exclude`` of ``options``, in this order.
        options: Say how much each term weighs.
    """
    remaining = iter(terms)
    plus, minus, exclude = (
        [Term(next(remaining).queries, part.weight) for part in parts]
        for parts in (options.plus, options.minus, options.exclude)
    )
    return Query(encoded.queries, plus, minus, exclude, encoded.errors)


def _direction(term: Term, layers: Sequence[int]) -> NDArray[np.float64]:
    """Return ``[len(layers) * D]`` of length 1: the mean of the term's streams."""
    vectors = np.stack([side_by_side(pooled, layers) for pooled in term.streams.values()])
    return unit(unit(vectors.astype(np.float64)).mean(0))


def _basis(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal rows that span ``vectors``; equal ones count once."""
    _, sizes, rows = np.linalg.svd(vectors, full_matrices=False)
    return np.asarray(rows[sizes > EPSILON])
