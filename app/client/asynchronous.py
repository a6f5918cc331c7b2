"""The client for asyncio: ``SRCIDClient``, awaited."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx2
from pydantic import JsonValue

from app.client import calls
from app.client.calls import Answer, Call, Media, SearchOptions, Source
from app.client.connection import DEFAULT_URL, Connection
from app.client.retry import Attempts, RetryPolicy
from app.errors import ItemExists, ServiceError
from app.schemas.codes import CodeResponse, CompareResponse, PatternResponse
from app.schemas.encoding import BatchResponse, EmbeddingsResponse, EncodeResponse
from app.schemas.fields import MAX_PAGE, Layers
from app.schemas.items import DuplicatesResponse, ItemPage, ItemResponse
from app.schemas.jobs import Job
from app.schemas.search import SearchResponse
from app.schemas.service import ModelInfo
from model.modality import Modality


class AsyncSRCIDClient:
    """Asks a service, as ``SRCIDClient`` does: the same calls, errors and retries.

    Args:
        url: Where the service is, with the path that a proxy puts before it.
        key: An API key, where the service wants one.
        timeout_seconds: Longest silence of the service.
        retry: How often and how patiently calls are sent again.
        transport: Of httpx2, in place of a socket.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_seconds: float = 60,
        retry: RetryPolicy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        connection = Connection(url=url, key=key, timeout_seconds=timeout_seconds)
        self._http = httpx2.AsyncClient(**connection.options(), transport=transport)
        self._retry = retry or RetryPolicy()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def encode(
        self, source: Source, *, modality: Modality | str | None = None, floats: bool = False
    ) -> EncodeResponse:
        """Return the codes of media, a sentence or an item."""
        return await self._send(calls.encode(source, modality=modality, floats=floats))

    async def encode_batch(
        self, sources: Sequence[Media | str], *, floats: bool = False
    ) -> BatchResponse:
        """Return an answer or a problem for each of several media and sentences."""
        return await self._send(calls.encode_batch(sources, floats=floats))

    async def embed(self, inputs: str | Sequence[str]) -> EmbeddingsResponse:
        """Return sentences and ``data:`` URIs as vectors, as OpenAI's clients get them."""
        return await self._send(calls.embed(inputs))

    async def search(self, source: Source, **options: Unpack[SearchOptions]) -> SearchResponse:
        """Return the streams most like media, a sentence or an item."""
        return await self._send(calls.search(source, options))

    async def search_codes(
        self,
        pattern: Sequence[Sequence[int | None]],
        *,
        row: int | None = None,
        targets: Sequence[Modality | str] | None = None,
        k: int = 100,
    ) -> PatternResponse:
        """Return where codes follow one another; None in the pattern fits any."""
        return await self._send(calls.search_codes(pattern, row=row, targets=targets, k=k))

    async def compare(self, a: Source, b: Source, *, layers: Layers = "both") -> CompareResponse:
        """Return the likeness of two things, second by second."""
        return await self._send(calls.compare(a, b, layers=layers))

    async def code(self, layer: int, code: int, *, row: int | None = None) -> CodeResponse:
        """Return what the items of the index say about the meaning of a code."""
        return await self._send(calls.code(layer, code, row=row))

    async def add(
        self,
        item_id: str,
        source: Media | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> ItemResponse:
        """Keep media or a sentence under a new id.

        Raises:
            ItemExists: There is an item of that id, and it is not what an attempt of this very
                call has left behind.
        """
        call = calls.add(item_id, source, metadata or {})
        attempts = Attempts(self._retry, is_repeatable=True)
        try:
            return call.read(await self._content(call, attempts))
        except ItemExists:
            if attempts.is_uncertain:
                kept = await self.get(item_id)
                if calls.is_of(kept, source, metadata or {}):
                    return kept
            raise

    async def put(
        self,
        item_id: str,
        source: Media | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> ItemResponse:
        """Keep media or a sentence under an id, in place of what had it."""
        return await self._send(calls.put(item_id, source, metadata or {}))

    async def get(self, item_id: str) -> ItemResponse:
        """Return an item."""
        return await self._send(calls.get(item_id))

    async def delete(self, item_id: str) -> None:
        """Remove an item."""
        await self._content(*self._first(calls.delete(item_id)))

    async def page(self, *, after: str = "", limit: int = 50) -> ItemPage:
        """Return at most ``limit`` items by id, from the first whose id is above ``after``."""
        return await self._send(calls.page(after=after, limit=limit))

    async def items(self) -> AsyncIterator[ItemResponse]:
        """Yield every item by id, fetching page after page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.page(after=cursor, limit=MAX_PAGE)
            for item in page.items:
                yield item
            cursor = page.next_cursor

    async def download(self, item_id: str, to: Path) -> None:
        """Write the media that were kept of an item to a file, whole or not at all."""
        call, attempts = self._first(calls.media(item_id))
        while True:
            try:
                async with self._http.stream(call.method, call.path) as response:
                    if response.is_success:
                        with calls.written_aside(to) as file:
                            async for part in response.aiter_bytes():
                                file.write(part)
                        return
                    await response.aread()
                pause = attempts.after_answer(response)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            await asyncio.sleep(pause)

    async def thumbnail(self, item_id: str) -> bytes:
        """Return the picture of an item, a JPEG."""
        return await self._content(*self._first(calls.thumbnail(item_id)))

    async def duplicates(self, item_id: str) -> DuplicatesResponse:
        """Return the streams of other items that have the same codes."""
        return await self._send(calls.duplicates(item_id))

    async def start_job(
        self,
        folder: str = "",
        *,
        manifest: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> Job:
        """Start to index a folder below the media root of the server, or a manifest there."""
        return await self._send(calls.start_job(folder, manifest=manifest, metadata=metadata or {}))

    async def jobs(self) -> list[Job]:
        """Return the jobs that are remembered, the latest first."""
        return (await self._send(calls.jobs())).jobs

    async def job(self, job_id: str) -> Job:
        """Return a job as it stands."""
        return await self._send(calls.job(job_id))

    async def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a job whenever it has changed, until it is over. Connects again where need be."""
        call, attempts = self._first(calls.job_events(job_id))
        while True:
            try:
                async with self._http.stream(call.method, call.path) as response:
                    if response.is_success:
                        async for line in response.aiter_lines():
                            if (data := calls.event_data(line)) is not None:
                                attempts = Attempts(self._retry, is_repeatable=True)
                                yield (job := call.read(data))
                                if job.state.is_final:
                                    return
                        raise httpx2.ReadError("the events ended early", request=response.request)
                    await response.aread()
                pause = attempts.after_answer(response)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            await asyncio.sleep(pause)

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a job; what it has indexed stays."""
        return await self._send(calls.cancel_job(job_id))

    async def model(self) -> ModelInfo:
        """Return what is served, and within which limits."""
        return await self._send(calls.model())

    async def is_ready(self) -> bool:
        """Tell whether the service can serve now; asks once.

        Raises:
            Unreachable: It does not answer.
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
        """Return the body of the answer, after as many attempts as it takes."""
        while True:
            try:
                with call.opened() as body:
                    response = await self._http.request(call.method, call.path, **body)
            except httpx2.TransportError as error:
                pause = attempts.after_error(error)
            else:
                if response.is_success:
                    return response.content
                pause = attempts.after_answer(response)
            await asyncio.sleep(pause)
