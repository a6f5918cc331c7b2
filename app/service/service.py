"""THE service: encode, add, search, get, page, delete. The API and the commands come in here."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from app.engine.engine import Encoded as Encoded
from app.engine.engine import Engine
from app.errors import InvalidRequest, Stopping
from app.schemas import (
    EncodeResponse,
    ItemPage,
    ItemResponse,
    Layers,
    LiveStart,
    ModalityInfo,
    ModelInfo,
    Score,
    SearchOptions,
    SearchResponse,
    StreamCodes,
    StreamVectors,
)
from app.schemas.filters import Where
from app.schemas.sources import ItemReference
from app.service.codes import CodeExplorer
from app.service.items import ItemKeeper
from app.service.items import Source as Source
from app.service.live_audio import LiveSound, SampleFormat, Sound
from app.service.media_folder import MediaFolder
from app.service.query_arithmetic import Query, unit
from app.service.search import Searcher
from app.store.base import Store
from model.calibration import Calibration
from model.encoder import Codes, Vocabulary
from model.media import SAMPLE_RATE, Clip
from model.modality import Modality


class RetrievalService:
    """Encodes media and sentences, keeps them, finds them. Methods may be called from any thread.

    ``encode``, ``add`` and ``search`` block while the engine works. Who would rather wait
    without a thread awaits ``encoded_async`` and hands the codes to ``answer``, ``items.keep``
    or ``searcher.find``, which are the second halves of the three.

    Nothing is kept of a request that fails; what a method has returned from survives a crash.

    Attributes:
        engine: Encodes.
        store: Keeps the codes.
        items: The store's items with their media.
        searcher: Finds streams.
        codes: Says what codes mean.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        media: MediaFolder,
        calibration: Calibration | None = None,
    ) -> None:
        self.engine = engine
        self.store = store
        self.items = ItemKeeper(engine, store, media)
        self.searcher = Searcher(engine.encoder, store, calibration, has_media=self.items.has_media)
        self.codes = CodeExplorer(engine.encoder, store, calibration)
        self._is_calibrated = calibration is not None
        self._is_draining = False

    def encode(
        self, source: Source, modality: Modality | None = None, *, floats: bool = False
    ) -> EncodeResponse:
        """Return the codes of media or of a sentence; with ``floats``, what they stand for.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
        """
        return answer(self.engine, self.engine.encode(source, modality), floats=floats)

    async def encoded_async(
        self, source: Source | ItemReference, modality: Modality | None = None
    ) -> Encoded:
        """Return the codes of media or of a sentence, or those that an item has.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
            NotFound: There is no such item.
            Overloaded: Too much is waiting already.
        """
        if isinstance(source, ItemReference):
            return self.items.codes(source.item_id, modality)
        return await self.engine.encode_async(source, modality)

    def answer(self, encoded: Encoded, *, floats: bool = False) -> EncodeResponse:
        """Return codes as they are sent; with ``floats``, also what they stand for."""
        return answer(self.engine, encoded, floats=floats)

    def add(
        self, item_id: str, source: Source, *, metadata: Mapping[str, JsonValue], replace: bool
    ) -> ItemResponse:
        """Encode and keep an item; return it.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
            ItemExists: The id exists and ``replace`` is false.
        """
        self.items.check(item_id, metadata=metadata, replace=replace)
        encoded = self.engine.encode(source)
        return self.items.keep(item_id, source, encoded, metadata=metadata, replace=replace)

    def get(self, item_id: str) -> ItemResponse:
        """Return an item.

        Raises:
            NotFound: There is none of that id.
        """
        return self.items.get(item_id)

    def page(self, *, after: str = "", limit: int) -> ItemPage:
        """Return at most ``limit`` items by id, from the first whose id is above ``after``."""
        return self.items.page(after=after, limit=limit)

    def delete(self, item_id: str) -> None:
        """Remove an item and the media that were kept of it.

        Raises:
            NotFound: There is none of that id.
        """
        self.items.delete(item_id)

    def search(
        self,
        source: Source,
        *,
        targets: Sequence[Modality] | None = None,
        k: int = 10,
        layers: Layers = "both",
        modality: Modality | None = None,
        score: Score = "mean",
        window: int = 3,
        where: Where | None = None,
        threshold: float | None = None,
        curves: bool = False,
    ) -> SearchResponse:
        """Return the ``k`` streams most like media or a sentence, best first.

        Args:
            source: The query. Of a clip with picture and sound, each stream is a query and a
                hit's score is the better of the two.
            targets: Modalities to search; all by default.
            k: Most hits.
            layers: "1", "2" or "both": which rows of the codes are compared.
            modality: The only stream of the query to use.
            score: What of a stream is compared: "mean", "max" or "window" (``Store.search``).
            window: Steps of a window.
            where: Which items are searched, by their metadata.
            threshold: The least score of a hit.
            curves: Whether each hit tells its likeness by the second.

        Raises:
            InvalidMedia: The query is not decodable, empty, or without that stream.
            InvalidRequest: A target or layer that the checkpoint does not have.
            TooLarge: The query is longer or heavier than the settings allow.
        """
        options = SearchOptions(
            targets=list(targets) if targets else None,
            k=k,
            layers=layers,
            score=score,
            window=window,
            where=where,
            threshold=threshold,
            curves=curves,
        )
        self.searcher.check(options)
        encoded = self.engine.encode(source, modality)
        query = Query(encoded.queries, errors=encoded.errors)
        return self.searcher.find(query, options)

    def check(self) -> None:
        """Return if requests can be served: network and decoders work, the index is readable.

        Raises:
            EngineFailed: A part of the engine is broken down or hangs.
            StoreUnavailable: The index cannot be read.
            Stopping: ``drain`` was called.
        """
        if self._is_draining:
            raise Stopping("the service is being stopped: ask another")
        self.engine.check()
        self.store.page(after="", limit=1)

    def drain(self) -> None:
        """Say from now on that no more is to be sent here. What comes is still answered."""
        self._is_draining = True

    @property
    def embedding_size(self) -> int:
        """How many numbers ``embedding`` returns."""
        vocabulary = self.engine.encoder.vocabulary
        return len(set(vocabulary.layers.tolist())) * vocabulary.tables.shape[-1]

    def embedding(self, encoded: Encoded) -> NDArray[np.float32]:
        """Return ``[K * D]`` of length 1: what all codes together stand for."""
        vocabulary = self.engine.encoder.vocabulary
        layers = sorted(set(vocabulary.layers.tolist()))
        pooled = [vocabulary.pooled(codes, layers) for codes in encoded.codes.values()]
        return unit(unit(np.stack(pooled)).mean(0)).astype(np.float32)

    def live_start(self) -> LiveStart:
        """Return what a sender of live sound should know."""
        encoder = self.engine.encoder
        return LiveStart(
            fingerprint=encoder.fingerprint,
            sample_rate=SAMPLE_RATE,
            code_layers=encoder.vocabulary.layers.tolist(),
            piece_seconds=encoder.config.max_steps,
        )

    def live_sound(self, sample_format: SampleFormat) -> LiveSound:
        """Return what encodes sound as it arrives.

        Raises:
            InvalidRequest: The checkpoint takes no sound.
        """
        if Modality.AUDIO not in self.engine.encoder.modalities:
            raise InvalidRequest("this checkpoint takes no sound: serve another one")

        async def encode(waveform: Sound) -> Codes:
            clip = Clip(None, waveform, len(waveform) / SAMPLE_RATE)
            return (await self.engine.encode_async(clip)).codes[Modality.AUDIO]

        return LiveSound(
            encode,
            sample_format=sample_format,
            piece_seconds=self.engine.encoder.config.max_steps,
            max_seconds=self.engine.settings.max_media_seconds,
        )

    @property
    def is_draining(self) -> bool:
        """Whether ``drain`` was called: what goes on for ever should come to an end."""
        return self._is_draining

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
            is_calibrated=self._is_calibrated,
            keeps_media=settings.keep_media,
            num_items=len(self.store),
            limits={name: value for name, value in settings if name.startswith("max_")},
        )


def answer(engine: Engine, encoded: Encoded, *, floats: bool = False) -> EncodeResponse:
    """Return codes as they are sent; with ``floats``, also what they stand for."""
    return EncodeResponse(
        fingerprint=engine.encoder.fingerprint,
        duration_seconds=encoded.duration_seconds,
        streams={
            m: StreamCodes(
                codes=codes.tolist(),
                vectors=_vectors(engine.encoder.vocabulary, codes) if floats else None,
            )
            for m, codes in encoded.codes.items()
        },
    )


def _vectors(vocabulary: Vocabulary, codes: Codes) -> StreamVectors:
    layers = sorted(set(vocabulary.layers.tolist()))
    return StreamVectors(
        pooled=vocabulary.pooled(codes, layers).tolist(),
        steps=vocabulary.steps(codes, layers).tolist(),
    )


def encode_response(
    engine: Engine, source: Source, modality: Modality | None = None
) -> EncodeResponse:
    """Return the codes of media or of a sentence, without an index; see ``encode``."""
    return answer(engine, engine.encode(source, modality))
