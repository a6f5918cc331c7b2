"""THE service: encode, add, search, get, page, delete. The API and the commands come in here."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from app.engine.engine import Engine
from app.errors import InvalidRequest, ItemExists, NotFound, TooLarge
from app.schemas import (
    EncodeResponse,
    ItemPage,
    ItemResponse,
    ModalityInfo,
    ModelInfo,
    SearchHit,
    SearchResponse,
    StreamCodes,
)
from app.store.base import Hit, Item, Store, Stream
from model.modality import Modality

Source = bytes | Path | str


class RetrievalService:
    """Encodes media and sentences, keeps them, finds them. Methods block, from any thread.

    Nothing is kept of a request that fails; what a method has returned from survives a crash.
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store

    def encode(self, source: Source, modality: Modality | None = None) -> EncodeResponse:
        """Return the codes of media or of a sentence.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
        """
        return encode_response(self.engine, source, modality)

    def add(
        self,
        item_id: str,
        source: Source,
        *,
        metadata: Mapping[str, JsonValue],
        replace: bool,
    ) -> ItemResponse:
        """Encode and keep an item; return it.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
            ItemExists: The id exists and ``replace`` is false.
        """
        self._check_metadata(metadata)
        if not replace and self.store.get(item_id):  # before the work of encoding
            raise ItemExists(item_id)
        encoded = self.engine.encode(source)
        item = Item(
            id=item_id,
            streams={m: Stream(c, encoded.duration_seconds) for m, c in encoded.codes.items()},
            metadata=metadata,
            text=source if isinstance(source, str) else None,
            sha256=sha256(source),
        )
        self.store.add(item, replace=replace)
        return self._response(item)

    def search(
        self,
        source: Source,
        *,
        targets: Sequence[Modality] | None = None,
        k: int = 10,
        layers: str = "both",
        modality: Modality | None = None,
    ) -> SearchResponse:
        """Return the ``k`` streams most like media or a sentence, best first.

        Args:
            source: The query. Of a clip with picture and sound, each stream is a query and a
                hit's score is the better of the two.
            targets: Modalities to search; all by default.
            k: Most hits.
            layers: "1", "2" or "both": which rows of the codes are compared.
            modality: The only stream of the query to use.

        Raises:
            InvalidMedia: The query is not decodable, empty, or without that stream.
            InvalidRequest: A target or layer that the checkpoint does not have.
            TooLarge: The query is longer or heavier than the settings allow.
        """
        chosen, wanted = self._layers(layers), self._targets(targets)
        encoded = self.engine.encode(source, modality)
        pooled = self.engine.encoder.vocabulary.pooled
        queries = np.stack([pooled(codes, chosen) for codes in encoded.codes.values()])
        hits = self.store.search(queries, layers=chosen, targets=wanted, k=k)
        return SearchResponse(
            fingerprint=self.engine.encoder.fingerprint,
            nothing_matches=None,
            hits=[_hit(hit) for hit in hits],
        )

    def get(self, item_id: str) -> ItemResponse:
        """Return an item.

        Raises:
            NotFound: There is none of that id.
        """
        item = self.store.get(item_id)
        if item is None:
            raise _no_item(item_id)
        return self._response(item)

    def page(self, *, after: str = "", limit: int) -> ItemPage:
        """Return at most ``limit`` items by id, from the first whose id is above ``after``."""
        items = self.store.page(after=after, limit=limit + 1)
        return ItemPage(
            items=[self._response(item) for item in items[:limit]],
            next_cursor=items[limit - 1].id if len(items) > limit else None,
        )

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            NotFound: There is none of that id.
        """
        if not self.store.delete(item_id):
            raise _no_item(item_id)

    def describe(self) -> ModelInfo:
        """Return what is served, and within which limits."""
        encoder, settings = self.engine.encoder, self.engine.settings
        tables = encoder.vocabulary.tables  # [C, L, D]
        return ModelInfo(
            checkpoint=settings.checkpoint,
            fingerprint=encoder.fingerprint,
            modalities={
                m: ModalityInfo(backbone=own.backbone, feature_shape=list(own.feature_shape))
                for m, own in encoder.config.modalities.items()
            },
            code_layers=encoder.vocabulary.layers.tolist(),
            codebook_sizes=[tables.shape[1]] * len(tables),
            is_calibrated=False,
            keeps_media=False,
            num_items=len(self.store),
            limits={name: value for name, value in settings if name.startswith("max_")},
        )

    def _response(self, item: Item) -> ItemResponse:
        durations = [stream.duration_seconds for stream in item.streams.values()]
        return ItemResponse(
            id=item.id,
            fingerprint=self.engine.encoder.fingerprint,
            duration_seconds=max((d for d in durations if d is not None), default=None),
            streams={m: StreamCodes(codes=own.codes.tolist()) for m, own in item.streams.items()},
            text=item.text,
            sha256=item.sha256,
            metadata=dict(item.metadata),
            has_media=False,
            has_thumbnail=False,
        )

    def _check_metadata(self, metadata: Mapping[str, JsonValue]) -> None:
        try:
            size = len(json.dumps(dict(metadata), allow_nan=False))
        except ValueError:
            raise InvalidRequest(
                "the metadata holds a number too large for JSON's readers: send it as text"
            ) from None
        limit = self.engine.settings.max_metadata_bytes
        if size > limit:
            raise TooLarge(
                f"the metadata has {size} bytes as JSON, at most {limit} are kept: shorten it, or "
                "raise SRCID_MAX_METADATA_BYTES"
            )

    def _layers(self, wanted: str) -> list[int]:
        known = sorted(set(self.engine.encoder.vocabulary.layers.tolist()))
        chosen = known if wanted == "both" else [layer for layer in known if str(layer) == wanted]
        if not chosen:
            raise InvalidRequest(
                f"layers is {wanted!r}, but this checkpoint has {known}: ask for one of them, or "
                'for "both"'
            )
        return chosen

    def _targets(self, wanted: Sequence[Modality] | None) -> Sequence[Modality]:
        known = self.engine.encoder.modalities
        for modality in wanted or ():
            if modality not in known:
                raise InvalidRequest(
                    f"targets names {modality!r}, but this checkpoint has {', '.join(known)}: "
                    "ask for some of them"
                )
        return wanted or known


def encode_response(
    engine: Engine, source: Source, modality: Modality | None = None
) -> EncodeResponse:
    """Return the codes of media or of a sentence; see ``RetrievalService.encode``."""
    encoded = engine.encode(source, modality)
    return EncodeResponse(
        fingerprint=engine.encoder.fingerprint,
        duration_seconds=encoded.duration_seconds,
        streams={m: StreamCodes(codes=codes.tolist()) for m, codes in encoded.codes.items()},
    )


def sha256(source: Source) -> str:
    """Return the hex digest of media or of a sentence."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = source.encode() if isinstance(source, str) else source
    return hashlib.sha256(data).hexdigest()


def _hit(hit: Hit) -> SearchHit:
    return SearchHit(
        id=hit.item.id,
        modality=hit.modality,
        score=hit.score,
        best_second=hit.best_second,
        text=hit.item.text,
        metadata=dict(hit.item.metadata),
        probability=None,
        has_media=False,
        has_thumbnail=False,
    )


def _no_item(item_id: str) -> NotFound:
    return NotFound(f"there is no item {item_id!r}: GET /items lists those that there are")
