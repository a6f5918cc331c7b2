"""Every call of the service once, for the blocking client and the asyncio client."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Unpack

import httpx2
from pydantic import JsonValue

from app.client import calls
from app.client.calls import Answer, Call, Media
from app.client.retry import Attempts, RetryPolicy
from app.errors import ItemExists, ServiceError
from app.schemas.codes import CodeResponse, CompareResponse, PatternResponse
from app.schemas.encoding import BatchResponse, EmbeddingsResponse, EncodeResponse
from app.schemas.fields import MAX_PAGE, Layers
from app.schemas.filters import Filter
from app.schemas.items import DeletedItems, DuplicatesResponse, ItemPage, ItemResponse, PageFields
from app.schemas.jobs import Job
from app.schemas.search import SearchFields, SearchResponse
from app.schemas.service import ModelInfo
from app.schemas.sources import Source
from model.files import atomic_write
from model.modality import Modality


class ClientCore(ABC):
    """The calls, with their retries. They await nothing but the abstract methods.

    Args:
        retry: How often and how long to retry.
    """

    def __init__(self, retry: RetryPolicy | None) -> None:
        self._retry = retry or RetryPolicy()

    @abstractmethod
    async def _request(self, method: str, path: str, **body: Any) -> httpx2.Response:
        """Send one request; return the response with its body.

        Raises:
            httpx2.TransportError: The connection failed.
        """

    @abstractmethod
    def _stream(self, method: str, path: str) -> AbstractAsyncContextManager[httpx2.Response]:
        """Send one request; yield the response, its body unread where it is a success.

        Raises:
            httpx2.TransportError: The connection failed.
        """

    @abstractmethod
    def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the body of a streamed response."""

    @abstractmethod
    def _lines(self, response: httpx2.Response) -> AsyncIterator[str]:
        """Yield the body of a streamed response, line by line."""

    @abstractmethod
    async def _sleep(self, seconds: float) -> None:
        """Wait."""

    async def encode(
        self, source: Source, *, modality: Modality | str | None = None, floats: bool = False
    ) -> EncodeResponse:
        """Return the codes of media, a sentence or an item."""
        return await self._send(calls.encode(source, modality=modality, floats=floats))

    async def encode_batch(
        self, sources: Sequence[Media | str], *, floats: bool = False
    ) -> BatchResponse:
        """Return a result or a problem for each of several media and sentences."""
        return await self._send(calls.encode_batch(sources, floats=floats))

    async def embed(self, inputs: str | Sequence[str]) -> EmbeddingsResponse:
        """Return vectors of sentences and ``data:`` URIs, as OpenAI's embeddings API does."""
        return await self._send(calls.embed(inputs))

    async def search(self, source: Source, **options: Unpack[SearchFields]) -> SearchResponse:
        """Return the streams most similar to media, a sentence or an item."""
        return await self._send(calls.search(source, options))

    async def search_codes(
        self,
        pattern: Sequence[Sequence[int | None]],
        *,
        row: int | None = None,
        targets: Sequence[Modality | str] | None = None,
        k: int = 100,
    ) -> PatternResponse:
        """Return where codes occur in a row; None in the pattern matches any code."""
        return await self._send(calls.search_codes(pattern, row=row, targets=targets, k=k))

    async def compare(self, a: Source, b: Source, *, layers: Layers = "both") -> CompareResponse:
        """Return the cosine similarity of two sources, second by second."""
        return await self._send(calls.compare(a, b, layers=layers))

    async def code(self, layer: int, code: int, *, row: int | None = None) -> CodeResponse:
        """Return what a code means, from the indexed items that contain it."""
        return await self._send(calls.code(layer, code, row=row))

    async def add(
        self,
        item_id: str,
        source: Media | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> ItemResponse:
        """Store media or a sentence under a new id.

        Raises:
            ItemExists: The id is taken, and not by an earlier attempt of this call.
        """
        call = calls.add(item_id, source, metadata or {})
        attempts = Attempts(self._retry, is_repeatable=True)
        try:
            return call.read(await self._content(call, attempts))
        except ItemExists:
            if attempts.is_uncertain:
                existing = await self.get(item_id)
                if calls.is_of(existing, source, metadata or {}):
                    return existing
            raise

    async def put(
        self,
        item_id: str,
        source: Media | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> ItemResponse:
        """Store media or a sentence under an id, replacing what has that id."""
        return await self._send(calls.put(item_id, source, metadata or {}))

    async def get(self, item_id: str) -> ItemResponse:
        """Return an item."""
        return await self._send(calls.get(item_id))

    async def delete(self, item_id: str) -> None:
        """Remove an item."""
        await self._content(*self._first(calls.delete(item_id)))

    async def update(self, item_id: str, metadata: Mapping[str, JsonValue]) -> ItemResponse:
        """Merge ``metadata`` into an item's, where null removes a field; return the item."""
        return await self._send(calls.update(item_id, metadata))

    async def delete_where(self, where: Filter) -> DeletedItems:
        """Remove all items that match a filter."""
        return await self._send(calls.delete_where(where))

    async def page(self, **options: Unpack[PageFields]) -> ItemPage:
        """Return a page of items in id order, behind ``after`` or in front of ``before``."""
        return await self._send(calls.page(options))

    async def items(self, *, where: Filter | None = None) -> AsyncIterator[ItemResponse]:
        """Yield every item that matches ``where`` in id order, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.page(after=cursor, limit=MAX_PAGE, where=where)
            for item in page.items:
                yield item
            cursor = page.next_cursor

    async def download(self, item_id: str, to: Path) -> None:
        """Write the stored media of an item to a file, completely or not at all."""
        call, attempts = self._first(calls.media(item_id))
        while True:
            try:
                async with self._stream(call.method, call.path) as response:
                    if response.is_success:
                        with atomic_write(to) as file:
                            async for chunk in self._chunks(response):
                                file.write(chunk)
                        return
                pause = attempts.after_answer(response)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            await self._sleep(pause)

    async def thumbnail(self, item_id: str) -> bytes:
        """Return the thumbnail of an item, a JPEG."""
        return await self._content(*self._first(calls.thumbnail(item_id)))

    async def duplicates(self, item_id: str) -> DuplicatesResponse:
        """Return the streams of other items with the same codes."""
        return await self._send(calls.duplicates(item_id))

    async def start_job(
        self,
        folder: str = "",
        *,
        manifest: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> Job:
        """Start indexing a folder below the server's media root, or a manifest there."""
        return await self._send(calls.start_job(folder, manifest=manifest, metadata=metadata or {}))

    async def jobs(self) -> list[Job]:
        """Return the jobs, newest first."""
        return (await self._send(calls.jobs())).jobs

    async def job(self, job_id: str) -> Job:
        """Return the current state of a job."""
        return await self._send(calls.job(job_id))

    async def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a job whenever it changes, until it ends. Reconnects if the connection breaks."""
        call, attempts = self._first(calls.job_events(job_id))
        while True:
            try:
                async with self._stream(call.method, call.path) as response:
                    if response.is_success:
                        async for line in self._lines(response):
                            if (data := calls.event_data(line)) is not None:
                                attempts = Attempts(self._retry, is_repeatable=True)
                                yield (job := call.read(data))
                                if job.state.is_final:
                                    return
                        raise httpx2.ReadError("the events ended early", request=response.request)
                pause = attempts.after_answer(response)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            await self._sleep(pause)

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; what it has indexed stays."""
        return await self._send(calls.cancel_job(job_id))

    async def model(self) -> ModelInfo:
        """Return the model being served and the limits of the service."""
        return await self._send(calls.model())

    async def is_ready(self) -> bool:
        """Return whether the service is ready. Does not retry.

        Raises:
            Unreachable: The service does not answer.
        """
        once = Attempts(RetryPolicy(retries=0), is_repeatable=True)
        try:
            await self._content(calls.ready(), once)
        except ServiceError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return False
        return True

    async def _send(self, call: Call[Answer]) -> Answer:
        return call.read(await self._content(*self._first(call)))

    def _first(self, call: Call[Answer]) -> tuple[Call[Answer], Attempts]:
        return call, Attempts(self._retry, is_repeatable=call.is_repeatable)

    async def _content(self, call: Call[Answer], attempts: Attempts) -> bytes:
        """Return the body of a successful response, after as many attempts as it takes."""
        while True:
            try:
                with call.opened() as body:
                    response = await self._request(call.method, call.path, **body)
                if response.is_success:
                    return response.content
                pause = attempts.after_answer(response)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            await self._sleep(pause)
