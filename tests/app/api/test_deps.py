"""What routes are given: work ends with the connection that asked for it."""

import asyncio
import json
from pathlib import Path

import pytest
from starlette.types import Message, Scope

from app.main import create_app
from app.settings import Settings


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/encode", {"text": "a dog"}),
        ("/encode/batch", {"items": [{"text": "a"}, {"text": "b"}]}),
        ("/search", {"text": "a dog", "minus": ["b"]}),
        ("/items", {"id": "a", "text": "a dog"}),
    ],
)
def test_work_is_dropped_when_its_client_goes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, object]
) -> None:
    app = create_app(settings)
    begun, dropped = asyncio.Event(), []

    async def encode_async(source: bytes | Path | str, modality: object = None) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.append(source)

    sent: list[Message] = []
    messages = iter([{"type": "http.request", "body": json.dumps(body).encode()}])

    async def receive() -> Message:
        for message in messages:
            return message
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> int:
        async with app.router.lifespan_context(app):
            monkeypatch.setattr(app.state.service._engine, "encode_async", encode_async)
            answering = asyncio.create_task(app(post_of_json(path), receive, send))
            await asyncio.wait({answering}, timeout=30)  # which, unlike a timeout, cancels nothing
            assert answering.done()
            await answering
            return len(app.state.service._items.store)

    assert asyncio.run(run()) == 0
    assert dropped
    assert sent[0]["status"] == 400  # which nobody reads


def post_of_json(path: str) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }
