"""WebSocket /live: sound in as it is heard, a pair of codes a second out."""

import asyncio
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, WebSocket, WebSocketDisconnect, status
from pydantic import BaseModel

from app.api.problems import describe
from app.errors import InvalidRequest, Overloaded, ServiceError, TooLarge
from app.schemas import LiveProblem
from app.service.live_audio import LiveSound, SampleFormat
from app.service.service import RetrievalService

router = APIRouter(tags=["live"])
IDLE_SECONDS = 60.0  # without sound, after which the connection is closed
MAX_MESSAGE_BYTES = 2**20
RETRY_SECONDS = 5  # advised where too many are connected
END = "end"


class LiveTurns:
    """How many sounds are encoded live at the same time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def __enter__(self) -> None:
        if self.taken >= self.limit:
            raise Overloaded(
                f"{self.taken} sounds are encoded live already",
                retry_after_seconds=RETRY_SECONDS,
            )
        self.taken += 1

    def __exit__(self, *error: object) -> None:
        self.taken -= 1


async def get_turns(socket: WebSocket) -> LiveTurns:
    """Return the turns that ``create_app`` made."""
    return cast(LiveTurns, socket.app.state.live)


async def get_service(socket: WebSocket) -> RetrievalService:
    """Return the service that ``create_app`` made."""
    return cast(RetrievalService, socket.app.state.service)


@router.websocket("/live")
async def live(
    socket: WebSocket,
    turns: Annotated[LiveTurns, Depends(get_turns)],
    service: Annotated[RetrievalService, Depends(get_service)],
    sample_format: Annotated[SampleFormat, Query(alias="format")] = SampleFormat.S16LE,
) -> None:
    """Take sound at 16 kHz, mono, as binary messages; "end" as a text message ends it."""
    await socket.accept()
    try:
        with turns:
            sound = service.live_sound(sample_format)
            await _send(socket, service.live_start())
            await _relay(socket, sound)
        await socket.close()
    except ServiceError as error:
        await _send(socket, LiveProblem(problem=describe(error)))
        await socket.close(_close_code(error))
    except (WebSocketDisconnect, RuntimeError):
        return  # nobody is there any more


async def _relay(socket: WebSocket, sound: LiveSound) -> None:
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), IDLE_SECONDS)
        except TimeoutError:
            raise InvalidRequest(
                f"no sound for {IDLE_SECONDS:.0f} seconds: send silence too, or connect again"
            ) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        data, text = message.get("bytes"), message.get("text")
        if text is not None and text != END:
            raise InvalidRequest(
                f"a text message {text[:40]!r}: sound comes in binary messages, and the text "
                f'"{END}" ends it'
            )
        if data is not None and len(data) > MAX_MESSAGE_BYTES:
            raise TooLarge(
                f"a message of {len(data)} bytes, at most {MAX_MESSAGE_BYTES}: send shorter ones"
            )
        for answer in await (sound.end() if data is None else sound.add(data)):
            await _send(socket, answer)
        if data is None:
            return


def _close_code(error: ServiceError) -> int:
    if isinstance(error, TooLarge):
        return status.WS_1009_MESSAGE_TOO_BIG
    if error.retry_after_seconds is not None:
        return status.WS_1013_TRY_AGAIN_LATER
    return status.WS_1008_POLICY_VIOLATION


async def _send(socket: WebSocket, message: BaseModel) -> None:
    await socket.send_text(message.model_dump_json())
