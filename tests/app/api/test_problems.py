"""Problems that are no route's own: what is not there, what broke off, and faults of ours."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from app.api.problems import reject
from app.errors import NotFound, Overloaded, ServiceError

# name: (method, path, what is sent, status, type, a part of the detail)
CASES: dict[str, tuple[str, str, dict[str, Any], int, str, str]] = {
    "a path that is not there": ("GET", "/nowhere", {}, 404, "not-found", "no GET /nowhere"),
    "a method that is not there": ("PATCH", "/encode", {}, 405, "method-not-allowed", "use POST"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_there_is_a_problem_document_and_loses_nothing(
    refused: Callable[..., None], name: str
) -> None:
    refused(*CASES[name])


def test_an_upload_that_is_broken_off_is_not_logged_as_a_fault(
    kept: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/encode", "headers": headers}
    scope |= {"query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http"}
    asyncio.run(kept.app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not caplog.records


def test_a_fault_of_ours_tells_nothing_but_that(
    kept: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr("app.service.async_service.AsyncRetrievalService.get", broken)
    answer = kept.get("/items/kept")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in json.dumps(answer.json())


def test_refusals_for_want_of_room_leave_together_and_others_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def leaving(now: float, error: ServiceError) -> float:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: now, raising=False)
        waits.append(0)
        assert (await reject(error)).status_code == error.status
        return now + waits.pop()

    monkeypatch.setattr("app.api.problems.asyncio.sleep", sleep)
    full = Overloaded("3 wait", retry_after_seconds=2)
    times = [asyncio.run(leaving(now, full)) for now in (7.001, 7.004, 7.009, 7.011)]
    assert times == pytest.approx([7.01, 7.01, 7.01, 7.02])
    assert asyncio.run(leaving(7.001, NotFound("nothing"))) == 7.001


def test_the_allowed_methods_are_named(kept: TestClient) -> None:
    assert kept.patch("/encode").headers["allow"] == "POST"
