"""Searches the store, and tells how likely each hit matches the query."""

from collections.abc import Sequence

from app.errors import InvalidRequest
from app.schemas.fields import Layers
from app.schemas.search import SearchHit, SearchOptions, SearchResponse
from app.service.items import Items
from app.service.query_arithmetic import Query
from app.service.segments import start_second
from app.store.base import Hit
from model.calibration import WINDOW, Calibration
from model.encoder import Encoder
from model.modality import Modality

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
