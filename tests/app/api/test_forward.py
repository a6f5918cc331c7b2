"""What becomes of a request that is passed on when one of the two sides goes away.

That requests and answers come through whole is tested by tests/e2e/test_workers.py.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.forward import Forward

WAIT = 20  # seconds: far more than anything takes
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = {"type": "http.request", "body": b'{"id": "a", "text": "a dog"}'}
GONE = {"type": "http.disconnect"}


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("it was not passed on")


@asynccontextmanager
async def before_writer(answer: Answer) -> AsyncIterator[Forward]:
    """Be the process that writes, on a socket; yield what passes on to it."""

    async def told(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, out)
        finally:
            out.close()

    async with await asyncio.start_server(told, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Forward(nobody, writer_url=f"http://127.0.0.1:{port}")


async def passed_on(forward: Forward, *messages: Message, path: str = "/items") -> list[Message]:
    """Pass on a POST whose client sends ``messages``; return what it is answered."""
    coming, sent = iter(messages), []

    async def receive() -> Message:
        for message in coming:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"transfer-encoding", b"chunked")],
    }
    try:
        await asyncio.wait_for(forward(scope, receive, send), WAIT)
    except httpx2.TransportError:
        sent.append({"type": "broken"})
    return sent


def test_a_writer_that_is_not_there_is_told_of() -> None:
    with socket.socket() as held:  # bound, not listening: nobody else may take the port
        held.bind(("127.0.0.1", 0))
        forward = Forward(nobody, writer_url=f"http://127.0.0.1:{held.getsockname()[1]}")
        start, body = asyncio.run(passed_on(forward, BODY))
    assert start["status"] == 503
    told = json.loads(body["body"])
    assert told["type"] == "urn:srcid:engine-failed"
    assert "check whether the change was made" in told["detail"]


def test_an_answer_that_breaks_off_breaks_off_for_the_client_too() -> None:
    async def answer(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        out.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun")
        await out.drain()

    async def run() -> list[Message]:
        async with before_writer(answer) as forward:
            return await passed_on(forward, BODY)

    start, piece, end = asyncio.run(run())
    assert start["status"] == 200
    assert (piece["body"], piece["more_body"]) == (b"begun", True)
    assert end == {"type": "broken"}


def test_events_are_left_when_nobody_waits_for_them_any_more() -> None:
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        out.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            out.write(b"2\r\n:\n\r\n")
            try:
                await out.drain()
                await asyncio.sleep(0)
            except ConnectionError:
                left.set()
                return

    async def run() -> list[Message]:
        async with before_writer(answer) as forward:
            sent = await passed_on(forward, BODY, GONE, path="/jobs/7/events")
            await asyncio.wait_for(left.wait(), WAIT)
        return sent

    (start,) = asyncio.run(run())
    assert start["status"] == 200


def test_a_body_that_does_not_come_whole_is_none_for_the_writer() -> None:
    seen = asyncio.Queue[bytes]()

    async def answer(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await seen.put(await reader.read())

    async def run() -> tuple[list[Message], bytes]:
        async with before_writer(answer) as forward:
            sent = await passed_on(forward, {**BODY, "more_body": True}, GONE)
            return sent, await asyncio.wait_for(seen.get(), WAIT)

    sent, arrived = asyncio.run(run())
    assert sent == []
    assert BODY["body"] in arrived
    assert not arrived.endswith(b"0\r\n\r\n")  # the end of a body in chunks
