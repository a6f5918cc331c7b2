"""What routes are given: the service, and the codes of what a request is about."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Annotated, Protocol, TypeVar, cast

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.errors import ServiceError
from app.schemas.sources import ItemReference
from app.service import Encoded, RetrievalService, Source
from model.modality import Modality

AT_ONCE = 8  # parts of one request that are encoded at the same time: others want their turn

Result = TypeVar("Result")


# Dependencies are coroutines: FastAPI takes each that is not through a thread, of which it has
# forty, so that a busy service would not tell whether it is ready.
async def get_service(request: Request) -> RetrievalService:
    """Return the service that ``create_app`` made."""
    return cast(RetrievalService, request.app.state.service)


ServiceDep = Annotated[RetrievalService, Depends(get_service)]


class About(Protocol):
    """What a request, or a part of it, is about."""

    @property
    def source(self) -> Source | ItemReference:
        """Media, a sentence or an item."""

    @property
    def modality(self) -> Modality | None:
        """The only stream to use."""


class Encoding:
    """Encodes what a request is about, and drops that when the client has gone."""

    def __init__(self, request: Request, service: RetrievalService) -> None:
        self._request = request
        self._service = service

    async def __call__(self, about: About) -> Encoded:
        """Return the codes of one thing."""
        return await self._while_connected(
            self._service.encoded_async(about.source, about.modality)
        )

    async def all(self, abouts: Sequence[About]) -> list[Encoded]:
        """Return the codes of each thing; the first error ends it."""
        return await self._while_connected(asyncio.gather(*self._in_turn(abouts)))

    async def each(self, abouts: Sequence[About]) -> list[Encoded | ServiceError]:
        """Return the codes of each thing, or why there are none."""

        async def one(work: Coroutine[None, None, Encoded]) -> Encoded | ServiceError:
            try:
                return await work
            except ServiceError as error:
                return error

        return await self._while_connected(asyncio.gather(*map(one, self._in_turn(abouts))))

    def _in_turn(self, abouts: Sequence[About]) -> list[Coroutine[None, None, Encoded]]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(about: About) -> Encoded:
            async with turns:
                return await self._service.encoded_async(about.source, about.modality)

        return [one(about) for about in abouts]

    async def _while_connected(self, work: Awaitable[Result]) -> Result:
        task = asyncio.ensure_future(work)
        leaving = asyncio.create_task(self._leaving())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            task.cancel()
            leaving.cancel()

    async def _leaving(self) -> None:
        """Return when the client closes the connection; its body has been read by now."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


async def get_encoding(request: Request, service: ServiceDep) -> Encoding:
    """Return what encodes for this request."""
    return Encoding(request, service)


EncodingDep = Annotated[Encoding, Depends(get_encoding)]
