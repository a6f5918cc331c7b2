"""Query arithmetic: like this, more like that, without a third.

Shape letters: N query vectors, K layers, D hidden dim.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from model.encoder import Pooled, side_by_side
from model.modality import Modality

NOTHING = 1e-6  # length below which nothing is left of a unit vector


class QueryPart(NamedTuple):
    """What a query should be more or less like."""

    streams: Mapping[Modality, Pooled]
    weight: float  # the query's own is 1


class Query(NamedTuple):
    """What is searched: each stream is a query of its own, all changed in the same way."""

    streams: Mapping[Modality, Pooled]
    plus: Sequence[QueryPart] = ()
    minus: Sequence[QueryPart] = ()
    exclude: Sequence[QueryPart] = ()
    errors: Mapping[Modality, float] | None = None  # of the streams, see Encoder.quantize

    @property
    def is_plain(self) -> bool:
        """Whether nothing is added, taken away or excluded."""
        return not (self.plus or self.minus or self.exclude)

    def vectors(self, layers: Sequence[int]) -> NDArray[np.float32]:
        """Return ``[N, len(layers) * D]``, to be compared by cosine.

        Parts are unit vectors, added and taken away by weight. What is excluded is removed
        last: the query is made orthogonal to it, so that likeness to it counts for nothing.

        Raises:
            InvalidRequest: Nothing is left of the query.
        """
        own = np.stack([side_by_side(own, layers) for own in self.streams.values()])
        if self.is_plain:
            return own
        changed = unit(own)
        for sign, parts in ((1, self.plus), (-1, self.minus)):
            for part in parts:
                changed = changed + sign * part.weight * _direction(part, layers)
        if self.exclude:
            excluded = np.stack([_direction(part, layers) for part in self.exclude])
            basis = _basis(excluded)
            changed = changed - changed @ basis.T @ basis
        if (np.linalg.norm(changed, axis=-1) < NOTHING).any():
            raise InvalidRequest(
                "nothing is left of the query: what minus and exclude name is all that it was "
                "about; name less"
            )
        return changed.astype(np.float32)


def _direction(part: QueryPart, layers: Sequence[int]) -> NDArray[np.float64]:
    """Return ``[len(layers) * D]`` of length 1: the mean of the part's streams."""
    own = np.stack([side_by_side(own, layers) for own in part.streams.values()])
    return unit(unit(own).mean(0))


def _basis(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal rows that span ``vectors``; equal ones count once."""
    _, sizes, rows = np.linalg.svd(vectors, full_matrices=False)
    return np.asarray(rows[sizes > NOTHING])


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ``[..., D]`` scaled to length 1; a vector of zeros stays one."""
    exact = vectors.astype(np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    return np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)
