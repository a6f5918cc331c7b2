"""Query arithmetic and search: like this, more like that, without a third.

Shape letters: N query vectors, K layers, D hidden dim.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.engine import Encoded
from app.errors import InvalidRequest
from app.schemas.fields import Layers
from app.schemas.search import SearchHit, SearchOptions, SearchResponse
from app.service.items import Items
from app.service.media import start_second
from app.store.base import Hit
from app.store.cosine import unit
from model.calibration import WINDOW, Calibration
from model.encoder import Encoder, Pooled, side_by_side
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


MATCH = 0.5  # the least probability at which a hit counts as a match


class Searcher:
    """Searches the stored items. Methods may be called from any thread.

    Args:
        encoder: Knows the checkpoint's layers and modalities.
        items: What is searched.
        calibration: What scores mean; None: hits have no probability.
    """

    def __init__(self, encoder: Encoder, items: Items, calibration: Calibration | None) -> None:
        self._encoder = encoder
        self._items = items
        self._calibration = calibration

    def check(self, options: SearchOptions) -> None:
        """Check that a search is possible, before the work of encoding its query.

        Raises:
            InvalidRequest: The checkpoint lacks a target or layer.
        """
        self.layers(options.layers)
        self.check_targets(options.targets)

    def find(self, query: Query, options: SearchOptions) -> SearchResponse:
        """Return the streams most similar to ``query``, best first.

        Raises:
            InvalidRequest: The checkpoint lacks a layer, or nothing is left of the query.
        """
        layers = self.layers(options.layers)
        hits = self._items.store.search(query.vectors(layers), options, layers=layers)
        probabilities = [self._probability(query, hit, options) for hit in hits]
        return SearchResponse(
            fingerprint=self._encoder.fingerprint,
            nothing_matches=_nothing_matches(probabilities),
            hits=[self._hit(*pair) for pair in zip(hits, probabilities, strict=True)],
        )

    def layers(self, name: Layers) -> list[int]:
        """Return the numbers of the layers that "1", "2" or "both" names.

        Raises:
            InvalidRequest: The checkpoint has no such layer.
        """
        layers: list[int] = sorted(set(self._encoder.vocabulary.layers.tolist()))
        chosen = layers if name == "both" else [layer for layer in layers if str(layer) == name]
        if not chosen:
            raise InvalidRequest(
                f"layers is {name!r}, but this checkpoint has {layers}: ask for one of them, or "
                'for "both"'
            )
        return chosen

    def check_targets(self, targets: Sequence[Modality] | None) -> None:
        """Check that the checkpoint has all modalities to search.

        Raises:
            InvalidRequest: It lacks one.
        """
        modalities = self._encoder.modalities
        for target in targets or ():
            if target not in modalities:
                raise InvalidRequest(
                    f"targets names {target!r}, but this checkpoint has {', '.join(modalities)}: "
                    "ask for some of them"
                )

    def _probability(self, query: Query, hit: Hit, options: SearchOptions) -> float | None:
        """Return how likely a hit matches the query; None: this kind of query is not calibrated."""
        if self._calibration is None or not query.is_plain:
            return None
        if options.score == "window" and options.window != WINDOW:
            return None
        modality = list(query.streams)[hit.query]
        probability = self._calibration.probability(
            hit.score,
            error=query.errors[modality] if query.errors else None,
            query=modality,
            target=hit.modality,
            layers=options.layers,
            kind=options.score,
        )
        return None if probability is None else round(probability, 4)

    def _hit(self, hit: Hit, probability: float | None) -> SearchHit:
        has_media, has_thumbnail = self._items.has_media(hit.item)
        second = hit.best_second
        return SearchHit(
            id=hit.item.id,
            modality=hit.modality,
            score=hit.score,
            probability=probability,
            best_second=None if second is None else second + start_second(hit.item),
            curve=None if hit.curve is None else hit.curve.round(6).tolist(),
            text=hit.item.text,
            metadata=dict(hit.item.metadata),
            has_media=has_media,
            has_thumbnail=has_thumbnail,
        )


def _nothing_matches(probabilities: Sequence[float | None]) -> bool | None:
    """Return whether no hit matches; None: that is not calibrated."""
    if not probabilities:
        return True
    calibrated = [p for p in probabilities if p is not None]
    return max(calibrated) < MATCH if calibrated else None
