"""The service, awaited: encode, add, get, page, delete, search. Every route calls it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from pydantic import JsonValue

from app.engine.engine import Encoded, Engine
from app.engine.sandbox import Part
from app.errors import InvalidRequest, ServiceError, Stopping
from app.schemas.codes import CodeResponse, CompareResponse, PatternResponse, PatternSearch
from app.schemas.encoding import EncodeResponse, StreamCodes, StreamVectors
from app.schemas.fields import Layers
from app.schemas.filters import Where
from app.schemas.items import DeletedItems, DuplicatesResponse, ItemPage, ItemResponse, PageOptions
from app.schemas.live import LiveStart
from app.schemas.search import SearchOptions, SearchResponse
from app.schemas.service import ModalityInfo, ModelInfo
from app.schemas.sources import HasSource, ItemReference
from app.service.codes import CodeExplorer
from app.service.items import Items
from app.service.live_audio import LiveAudio, SampleFormat, Waveform
from app.service.search import Searcher, query_of
from app.store.cosine import unit
from model.calibration import Calibration
from model.encoder import Codes, Encoder
from model.media import Clip
from model.modality import Modality

MAX_CONCURRENT = 8  # subjects of one request that are encoded at once; others want their turn

Result = TypeVar("Result")


class AsyncRetrievalService:
    """Encodes media and sentences, stores them, finds them. To be awaited.

    A request that fails leaves nothing behind; what a method has returned from survives a crash.

    Args:
        engine: Encodes.
        items: The stored items and their media.
        calibration: What scores mean; None: no probabilities are given.
    """

    def __init__(
        self, engine: Engine, items: Items, calibration: Calibration | None = None
    ) -> None:
        self._engine = engine
        self._items = items
        self._searcher = Searcher(engine.encoder, items, calibration)
        self._codes = CodeExplorer(engine.encoder, items.store, calibration)
        self._is_calibrated = calibration is not None
        self._is_draining = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the checkpoint."""
        return self._engine.encoder.fingerprint

    async def encode(self, subject: HasSource, *, floats: bool = False) -> EncodeResponse:
        """Return the codes of media, a sentence or an item; with ``floats``, their vectors too.

        Raises:
            InvalidMedia: Not decodable, empty, or without the stream that is wanted.
            TooLarge: Longer or heavier than the settings allow.
            NotFound: There is no such item.
            Overloaded: The queue is full.
        """
        encoded = await self._encode(subject)
        return encode_response(self._engine.encoder, encoded, floats=floats)

    async def encode_batch(
        self, subjects: Sequence[HasSource], *, floats: bool = False
    ) -> list[EncodeResponse | ServiceError]:
        """Return the codes of each subject, or the error that it alone failed with."""

        async def encode(subject: HasSource) -> EncodeResponse | ServiceError:
            try:
                return await self.encode(subject, floats=floats)
            except ServiceError as error:
                return error

        return await self._each(encode, subjects)

    async def embed(self, subjects: Sequence[HasSource]) -> list[tuple[NDArray[np.float32], int]]:
        """Return a unit vector ``[K * D]`` of each subject, and how many steps it has.

        The vector is the mean over the subject's streams of what their codes stand for.
        """
        return [
            (self._embedding(encoded), sum(codes.shape[1] for codes in encoded.codes.values()))
            for encoded in await self._each(self._encode, subjects)
        ]

    @property
    def embedding_size(self) -> int:
        """K * D: how many numbers an embedding has."""
        vocabulary = self._engine.encoder.vocabulary
        return len(set(vocabulary.layers.tolist())) * vocabulary.tables.shape[-1]

    async def add(
        self,
        item_id: str,
        subject: HasSource,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
        replace: bool = False,
    ) -> ItemResponse:
        """Encode media or a sentence, store it as an item, and return the item.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
            ItemExists: The id exists and ``replace`` is false.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        metadata, source = metadata or {}, subject.source
        assert not isinstance(source, ItemReference)
        await self._run(self._items.check, item_id, metadata=metadata, replace=replace)
        encoded = await self._encode(subject)
        return await self._run(
            self._items.keep, item_id, source, encoded, metadata=metadata, replace=replace
        )

    async def get(self, item_id: str) -> ItemResponse:
        """Return an item.

        Raises:
            NotFound: There is no such item.
        """
        return await self._run(self._items.get, item_id)

    async def page(self, options: PageOptions) -> ItemPage:
        """Return a page of items, by id."""
        return await self._run(self._items.page, options)

    async def update(self, item_id: str, metadata: Mapping[str, JsonValue]) -> ItemResponse:
        """Merge ``metadata`` into those of an item and its further segments; return the item.

        Null removes a field; objects are merged (RFC 7396). Codes and media stay.

        Raises:
            NotFound: There is no such item.
            InvalidRequest: The metadata cannot be stored, or would tear a segment from its whole.
            TooLarge: The metadata are too large.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        return await self._run(self._items.update, item_id, metadata)

    async def delete(self, item_id: str) -> None:
        """Delete an item and its stored media.

        Raises:
            NotFound: There is no such item.
        """
        await self._run(self._items.delete, item_id)

    async def delete_where(self, where: Where) -> DeletedItems:
        """Delete all items that match ``where``, with their stored media."""
        return DeletedItems(deleted=await self._run(self._items.delete_where, where))

    async def media_file(self, item_id: str) -> Path:
        """Return the stored media of an item.

        Raises:
            NotFound: There is no such item, or its media were not stored.
        """
        return await self._run(self._items.media_file, item_id)

    async def thumbnail_file(self, item_id: str) -> Path:
        """Return the JPEG thumbnail of an item.

        Raises:
            NotFound: There is no such item, or it has no thumbnail.
        """
        return await self._run(self._items.thumbnail_file, item_id)

    async def search(self, subject: HasSource, options: SearchOptions) -> SearchResponse:
        """Return the streams most similar to media, a sentence or an item, best first.

        Raises:
            InvalidMedia: The query is not decodable, empty, or without that stream.
            InvalidRequest: The checkpoint lacks a target or layer, or nothing is left of the query.
            TooLarge: The query is longer or heavier than the settings allow.
            NotFound: There is no such item.
            Overloaded: The queue is full.
        """
        self._searcher.check(options)
        parts = [*options.plus, *options.minus, *options.exclude]
        encoded = await self._each(self._encode, [subject, *parts])
        query = query_of(encoded[0], encoded[1:], options)
        return await self._run(self._searcher.find, query, options)

    async def search_codes(self, search: PatternSearch) -> PatternResponse:
        """Return where codes follow one another in time.

        Raises:
            InvalidRequest: The pattern does not fit the checkpoint's codes.
        """
        self._searcher.check_targets(search.targets)
        return await self._run(self._codes.occurrences, search)

    async def compare(
        self, a: HasSource, b: HasSource, *, layers: Layers = "both"
    ) -> CompareResponse:
        """Return the cosine of each step of ``a`` with each step of ``b``."""
        numbers = self._searcher.layers(layers)
        first, second = await self._each(self._encode, [a, b])
        return await self._run(self._codes.compare, first.codes, second.codes, layers=numbers)

    async def code(self, layer: int, code: int, *, row: int | None = None) -> CodeResponse:
        """Return the code card: what the stored items say about the meaning of a code.

        Raises:
            NotFound: The checkpoint has no such layer, row or code.
        """
        return await self._run(self._codes.card, layer, code, row=row)

    async def duplicates(self, item_id: str) -> DuplicatesResponse:
        """Return the streams of other items that have exactly the codes of this one's.

        Raises:
            NotFound: There is no such item.
        """
        return await self._run(self._codes.duplicates, item_id)

    def live_start(self) -> LiveStart:
        """Return what a sender of live audio needs to know."""
        encoder = self._engine.encoder
        return LiveStart(
            fingerprint=encoder.fingerprint,
            sample_rate=encoder.decode_config().sample_rate,
            code_layers=encoder.vocabulary.layers.tolist(),
            piece_seconds=encoder.config.max_steps,
        )

    def live_audio(self, sample_format: SampleFormat) -> LiveAudio:
        """Return an encoder of audio that arrives bit by bit.

        Raises:
            InvalidRequest: The checkpoint takes no audio.
        """
        if Modality.AUDIO not in self._engine.encoder.modalities:
            raise InvalidRequest("this checkpoint takes no sound: serve another one")

        rate = self._engine.encoder.decode_config().sample_rate

        async def encode(waveform: Waveform) -> Codes:
            clip = Clip(None, waveform, len(waveform) / rate, rate)
            return (await self._engine.encode_async(clip)).codes[Modality.AUDIO]

        return LiveAudio(
            encode,
            sample_format=sample_format,
            sample_rate=rate,
            piece_seconds=self._engine.encoder.config.max_steps,
            max_seconds=self._engine.settings.max_media_seconds,
        )

    async def model(self) -> ModelInfo:
        """Return what is served, and within which limits."""
        encoder, settings = self._engine.encoder, self._engine.settings
        tables = encoder.vocabulary.tables  # [C, L, D]
        return ModelInfo(
            checkpoint=settings.checkpoint,
            fingerprint=encoder.fingerprint,
            modalities={
                m: ModalityInfo(
                    backbone=str(config.backbone), feature_shape=list(config.feature_shape)
                )
                for m, config in encoder.config.modalities.items()
            },
            code_layers=encoder.vocabulary.layers.tolist(),
            codebook_sizes=[tables.shape[1]] * len(tables),
            device=str(encoder.device),
            is_calibrated=self._is_calibrated,
            keeps_media=settings.keep_media,
            takes_jobs=settings.media_root is not None,
            num_items=await self._run(self._items.store.__len__),
            limits={
                name: value
                for name, value in settings
                if name.startswith("max_") and value is not None
            },
        )

    def check_room(self) -> None:
        """Return if media can be queued, so that a full server need not read a body first.

        Raises:
            Overloaded: The queue is full.
        """
        self._engine.check_room()

    def check(self) -> None:
        """Return if requests can be served. Blocks while the index is read.

        Raises:
            EngineFailed: A part of the engine is broken or hangs.
            StoreUnavailable: The index cannot be read.
            Stopping: ``drain`` was called.
        """
        if self._is_draining:
            raise Stopping("the service is being stopped: ask another")
        self._engine.check()
        self._items.store.page(after="", limit=1)

    @property
    def decode_sandbox(self) -> list[Part] | None:
        """What confines the decode workers; None until the first one is ready."""
        sandbox = self._engine.sandbox
        return None if sandbox is None else sandbox.parts

    def drain(self) -> None:
        """Make ``check`` fail from now on. Requests that still arrive are served."""
        self._is_draining = True

    @property
    def is_draining(self) -> bool:
        """Whether ``drain`` was called: endless answers should come to an end."""
        return self._is_draining

    async def _encode(self, subject: HasSource) -> Encoded:
        source, modality = subject.source, subject.modality
        if isinstance(source, ItemReference):
            return await self._run(self._items.encoded, source.item_id, modality)
        return await self._engine.encode_async(source, modality)

    async def _each(
        self, call: Callable[[HasSource], Any], subjects: Sequence[HasSource]
    ) -> list[Any]:
        """Await ``call`` for each subject, at most ``MAX_CONCURRENT`` at once; keep the order."""
        if len(subjects) == 1:
            return [await call(subjects[0])]
        turns = asyncio.Semaphore(MAX_CONCURRENT)

        async def in_turn(subject: HasSource) -> Any:
            async with turns:
                return await call(subject)

        return await asyncio.gather(*map(in_turn, subjects))

    async def _run(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Run what waits for the disk or computes for long in a thread."""
        return await to_thread.run_sync(lambda: function(*args, **kwargs))

    def _embedding(self, encoded: Encoded) -> NDArray[np.float32]:
        vocabulary = self._engine.encoder.vocabulary
        layers = sorted(set(vocabulary.layers.tolist()))
        pooled = [vocabulary.pooled(codes, layers) for codes in encoded.codes.values()]
        if not np.any(pooled):  # silence, say: what a search compares is never nothing
            pooled = [own.ravel() for own in encoded.queries.values()]
        return unit(unit(np.stack(pooled)).mean(0)).astype(np.float32)


def encode_response(encoder: Encoder, encoded: Encoded, *, floats: bool = False) -> EncodeResponse:
    """Return codes as they are sent; with ``floats``, also the vectors that they index."""
    vocabulary = encoder.vocabulary
    layers = sorted(set(vocabulary.layers.tolist()))

    def vectors(codes: Codes) -> StreamVectors:
        return StreamVectors(
            pooled=vocabulary.pooled(codes, layers).tolist(),
            steps=vocabulary.steps(codes, layers).tolist(),
        )

    return EncodeResponse(
        fingerprint=encoder.fingerprint,
        code_layers=vocabulary.layers.tolist(),
        duration_seconds=encoded.duration_seconds,
        streams={
            m: StreamCodes(codes=codes.tolist(), vectors=vectors(codes) if floats else None)
            for m, codes in encoded.codes.items()
        },
    )
