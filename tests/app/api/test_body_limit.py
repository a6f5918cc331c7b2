"""The middleware alone: what the app behind it gets to see."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.body_limit import BodyLimit
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
