"""Finds streams, and says how likely each is about what was asked."""

from collections.abc import Callable, Sequence

from app.errors import InvalidRequest
from app.schemas import SearchHit, SearchOptions, SearchResponse
from app.service.query_arithmetic import Query
from app.service.segments import start_second
from app.store.base import Hit, Item, Store
from model.calibration import WINDOW, Calibration
from model.encoder import Encoder
from model.modality import Modality

MATCH = 0.5  # probability from which a hit is likelier than not about what was asked


class Searcher:
    """Searches a store. Methods may be called from any thread.

    Args:
        encoder: Says what codes stand for.
        store: What is searched.
        calibration: What scores mean; None: nobody knows.
        has_media: Whether an item's media are kept, and whether its thumbnail is.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        calibration: Calibration | None,
        *,
        has_media: Callable[[Item], tuple[bool, bool]],
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._calibration = calibration
        self._has_media = has_media

    def check(self, options: SearchOptions) -> None:
        """See that a search is possible, before the work of encoding its query.

        Raises:
            InvalidRequest: A target or layer that the checkpoint does not have.
        """
        self.layers(options.layers)
        self.targets(options.targets)

    def find(self, query: Query, options: SearchOptions) -> SearchResponse:
        """Return the streams most like ``query``, best first.

        Raises:
            InvalidRequest: A target or layer that the checkpoint does not have, or a query of
                which nothing is left.
        """
        layers = self.layers(options.layers)
        self.targets(options.targets)
        hits = self._store.search(query.vectors(layers), options, layers=layers)
        chances = [self._probability(query, hit, options) for hit in hits]
        return SearchResponse(
            fingerprint=self._encoder.fingerprint,
            nothing_matches=self._nothing_matches(query, chances),
            hits=[self._hit(hit, chance) for hit, chance in zip(hits, chances, strict=True)],
        )

    def layers(self, wanted: str) -> list[int]:
        """Return the layers that "1", "2" or "both" mean.

        Raises:
            InvalidRequest: The checkpoint has none such.
        """
        known = sorted(set(self._encoder.vocabulary.layers.tolist()))
        chosen = known if wanted == "both" else [layer for layer in known if str(layer) == wanted]
        if not chosen:
            raise InvalidRequest(
                f"layers is {wanted!r}, but this checkpoint has {known}: ask for one of them, or "
                'for "both"'
            )
        return chosen

    def targets(self, wanted: Sequence[Modality] | None) -> Sequence[Modality]:
        """Return the modalities to search; all where none are named.

        Raises:
            InvalidRequest: The checkpoint does not have one.
        """
        known = self._encoder.modalities
        for modality in wanted or ():
            if modality not in known:
                raise InvalidRequest(
                    f"targets names {modality!r}, but this checkpoint has {', '.join(known)}: "
                    "ask for some of them"
                )
        return wanted or known

    def _probability(self, query: Query, hit: Hit, options: SearchOptions) -> float | None:
        """Return how likely a hit is about what was asked; arithmetic is not calibrated."""
        if self._calibration is None or not query.is_plain:
            return None
        if options.score == "window" and options.window != WINDOW:
            return None
        modality = list(query.streams)[hit.query]
        chance = self._calibration.probability(
            hit.score,
            error=query.errors[modality] if query.errors else None,
            query=modality,
            target=hit.modality,
            layers=options.layers,
            kind=options.score,
        )
        return None if chance is None else round(chance, 4)

    def _nothing_matches(self, query: Query, chances: Sequence[float | None]) -> bool | None:
        if not chances:
            return True
        known = [chance for chance in chances if chance is not None]
        return max(known) < MATCH if known else None

    def _hit(self, hit: Hit, probability: float | None) -> SearchHit:
        has_media, has_thumbnail = self._has_media(hit.item)
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
