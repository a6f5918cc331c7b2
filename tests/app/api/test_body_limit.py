"""The middleware alone: what the app behind it gets to see."""

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.http_rules import BodyLimit
from app.api.problems import problem
from app.errors import TooLarge


def run(chunks: list[bytes], *, declared: str | None = None) -> tuple[list[bytes], list[Message]]:
    """Send ``chunks`` through a limit of 10 bytes; return what arrived and what was answered."""
    arrived: list[bytes] = []
    answered: list[Message] = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": n + 1 < len(chunks)}
        for n, chunk in enumerate(chunks)
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            arrived.append(message["body"])
            more = message["more_body"]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [(b"content-length", declared.encode())] if declared is not None else []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(BodyLimit(app, max_bytes=10)(scope, receive, send))
    return arrived, answered


def test_a_body_up_to_the_limit_passes() -> None:
    assert run([b"12345", b"67890"], declared="10") == ([b"12345", b"67890"], [])


def test_a_longer_body_is_refused_unread_where_it_says_so() -> None:
    arrived, answered = run([b"x"], declared="11")
    assert arrived == []
    assert answered[0]["status"] == 413
    assert json.loads(answered[1]["body"])["type"] == "urn:srcid:too-large"


@pytest.mark.parametrize("declared", [None, "3", "nonsense", "-1"])
def test_a_longer_body_is_refused_where_it_passes_the_limit(declared: str | None) -> None:
    with pytest.raises(TooLarge, match="SRCID_MAX_UPLOAD_BYTES"):
        run([b"12345", b"67890", b"1"], declared=declared)


@pytest.mark.parametrize("declared", ["25", None])
@pytest.mark.parametrize("parts_read", [0, 1, 5])
def test_what_is_still_sent_is_read_before_the_answer(
    declared: str | None, parts_read: int
) -> None:
    """Else clients that send everything first meet a closed connection instead of the answer."""
    left = [b"12345"] * 5
    left_at_answer: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for _ in range(parts_read):
                await receive()
        except TooLarge as error:
            await problem(error)(scope, receive, send)
        else:
            await Response(status_code=415)(scope, receive, send)

    async def receive() -> Any:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        left_at_answer.append(len(left))

    header = (b"content-length", declared.encode()) if declared else (b"transfer-encoding", b"x")
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [header]}
    asyncio.run(BodyLimit(app, max_bytes=10)(scope, receive, send))
    assert set(left_at_answer) == {1}  # twice the limit is read, and no more


def test_a_client_that_asks_first_is_not_made_to_send() -> None:
    answered: list[Message] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [(b"content-length", b"11"), (b"expect", b"100-continue")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(BodyLimit(Response(), max_bytes=10)(scope, receive, send))
    assert answered[0]["status"] == 413


def test_a_client_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.middleware.http_rules.DRAIN_SECONDS", 0.01)
    answered: list[Message] = []

    async def receive() -> Any:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"5")]}
    asyncio.run(BodyLimit(Response(), max_bytes=10)(scope, receive, send))
    assert answered[0]["status"] == 200
