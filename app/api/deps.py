"""What routes need of a request: the service, and the codes of what the request is about."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Annotated, Protocol, TypeVar, cast

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.errors import ServiceError
from app.schemas.sources import ItemReference
from app.service.service import Encoded, RetrievalService, Source
from model.modality import Modality

AT_ONCE = 8  # parts of one request that are encoded at the same time: others want their turn

Result = TypeVar("Result")


# Dependencies are coroutines: FastAPI takes each that is not through a thread, of which it has
# forty, so that a busy service would not tell whether it is ready. Routes that encode ask for
# the request and for nothing else (PlainRoute): each dependency takes FastAPI a twentieth of a
# millisecond.
async def get_service(request: Request) -> RetrievalService:
    """Return the service that ``create_app`` made."""
    return service_of(request)


ServiceDep = Annotated[RetrievalService, Depends(get_service)]


def service_of(request: Request) -> RetrievalService:
    """Return the service that ``create_app`` made."""
    return cast(RetrievalService, request.app.state.service)


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

    def __init__(self, request: Request) -> None:
        self._request = request
        self._service = service_of(request)

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
        """Return what comes of ``work``, cancelled where the client goes.

        Not a task of its own that is waited for: each turn of the loop that a request takes
        waits for the network's threads to give up the interpreter's lock.
        """
        own = asyncio.current_task()
        assert own is not None
        leaving = asyncio.create_task(self._cancel_when_left(own))
        try:
            return await work
        except asyncio.CancelledError:
            has_left = leaving.done() and not leaving.cancelled()
            if has_left and not own.uncancel():
                raise ClientDisconnect from None
            raise  # somebody else's wish: the server is being stopped
        finally:
            leaving.cancel()

    async def _cancel_when_left(self, task: "asyncio.Task[object]") -> None:
        """Wait until the client closes the connection; its body has been read by now."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        task.cancel()
