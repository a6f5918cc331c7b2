"""WebSocket /live: audio in as it is recorded, the codes of each second out."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect, status
from pydantic import BaseModel

from app.api.deps import ServiceDep
from app.api.problems import describe
from app.errors import InvalidRequest, Overloaded, ServiceError, TooLarge
from app.schemas.live import LiveProblem
from app.service.live_audio import LiveAudio, SampleFormat

router = APIRouter(tags=["live"])
IDLE_SECONDS = 60.0  # without audio, until the connection is closed
MAX_MESSAGE_BYTES = 2**20
RETRY_SECONDS = 5  # the Retry-After of a full server
END = "end"


class LiveLimit:
    """Allows ``limit`` live connections at a time; entered by each."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0

    def __enter__(self) -> None:
        if self.count >= self.limit:
            raise Overloaded(
                f"{self.count} live connections are open already",
                retry_after_seconds=RETRY_SECONDS,
            )
        self.count += 1

    def __exit__(self, *error: object) -> None:
        self.count -= 1


@router.websocket("/live")
async def live(
    socket: WebSocket,
    service: ServiceDep,
    sample_format: Annotated[SampleFormat, Query(alias="format")] = SampleFormat.S16LE,
) -> None:
    """Take mono audio as binary messages, at the rate that the first answer names.

    The text message "end" ends it.
    """
    limit: LiveLimit = socket.app.state.live_limit
    await socket.accept()
    try:
        with limit:
            audio = service.live_audio(sample_format)
            await _send(socket, service.live_start())
            await _relay(socket, audio)
        await socket.close()
    except ServiceError as error:
        await _send(socket, LiveProblem(problem=describe(error)))
        await socket.close(_close_code(error))
    except (WebSocketDisconnect, RuntimeError):
        return  # the client has gone


async def _relay(socket: WebSocket, audio: LiveAudio) -> None:
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
        for answer in await (audio.end() if data is None else audio.add(data)):
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
