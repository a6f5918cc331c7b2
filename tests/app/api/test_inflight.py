"""The bytes of all requests together."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.http_rules import InflightBytes
from app.errors import Overloaded


def sent(*parts: bytes) -> Receive:
    """Return a ``receive`` that gives these parts of a body."""
    rest = list(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    return receive


async def send(message: Message) -> None:
    raise AssertionError("nothing is answered here")


def test_bodies_are_refused_beyond_their_sum_until_others_are_answered() -> None:
    async def main() -> None:
        answered = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["more_body"]:
                pass
            await answered.wait()

        limit = InflightBytes(app, max_bytes=100)
        scope = {"type": "http"}
        first = asyncio.create_task(limit(scope, sent(b"a" * 40, b"b" * 20), send))
        await asyncio.sleep(0)
        assert limit.admission.num_in_flight == 60
        with pytest.raises(Overloaded, match=r"60 bytes .* 100 .SRCID_MAX_INFLIGHT_BYTES"):
            await limit(scope, sent(b"c" * 41), send)
        assert limit.admission.num_in_flight == 60
        second = asyncio.create_task(limit(scope, sent(b"c" * 40), send))
        await asyncio.sleep(0)
        answered.set()
        await asyncio.gather(first, second)
        assert limit.admission.num_in_flight == 0
        await limit(scope, sent(b"d" * 100), send)

    asyncio.run(main())


def test_a_request_that_fails_holds_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ValueError("ours")

    limit = InflightBytes(app, max_bytes=100)
    with pytest.raises(ValueError, match="ours"):
        asyncio.run(limit({"type": "http"}, sent(b"a" * 100), send))
    assert limit.admission.num_in_flight == 0
