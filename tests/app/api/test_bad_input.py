"""Whatever is sent: a 4xx that says what to do, as a problem document, and nothing lost."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from app.settings import Settings

OK = {"file": b"RIFF"}
MULTIPART = {"content-type": "multipart/form-data"}
JSON = {"content-type": "application/json"}

# name: (method, path, what is sent, status, type, a part of the detail)
CASES: dict[str, tuple[str, str, dict[str, Any], int, str, str]] = {
    "an empty body": ("POST", "/encode", {}, 415, "unsupported-body", "multipart/form-data"),
    "an empty form": ("POST", "/encode", {"headers": MULTIPART}, 400, "bad-request", "boundary"),
    "empty JSON": ("POST", "/encode", {"headers": JSON}, 422, "invalid-request", "not JSON"),
    "JSON that is a list": ("POST", "/encode", {"json": []}, 422, "invalid-request", "is []"),
    "deep JSON": (
        "POST",
        "/encode",
        {"content": b"[" * 10**5, "headers": JSON},
        422,
        "invalid-request",
        "recursion limit",
    ),
    "half a surrogate": (
        "POST",
        "/encode",
        {"content": b'{"text": "\\ud800"}', "headers": JSON},
        422,
        "invalid-request",
        "not JSON",
    ),
    "not UTF-8": (
        "POST",
        "/encode",
        {"content": b'{"text": "\xff"}', "headers": JSON},
        422,
        "invalid-request",
        "not JSON",
    ),
    "another media type": (
        "POST",
        "/encode",
        {"content": b"x", "headers": {"content-type": "a/b"}},
        415,
        "unsupported-body",
        "'a/b'",
    ),
    "no text": ("POST", "/encode", {"json": {}}, 422, "invalid-request", "text: Field required"),
    "text of 0 characters": (
        "POST",
        "/encode",
        {"json": {"text": ""}},
        422,
        "invalid-media",
        "at least one word",
    ),
    "text of spaces": (
        "POST",
        "/encode",
        {"json": {"text": " \n\t"}},
        422,
        "invalid-media",
        "at least one word",
    ),
    "text of 100,000 characters": (
        "POST",
        "/encode",
        {"json": {"text": "dog " * 25_000}},
        413,
        "too-large",
        "100000 characters, at most 2000",
    ),
    "text that is a number": (
        "POST",
        "/encode",
        {"json": {"text": 3}},
        422,
        "invalid-request",
        "text is 3",
    ),
    "an unknown field": (
        "POST",
        "/encode",
        {"json": {"text": "a", "txt": 1}},
        422,
        "invalid-request",
        "txt: Extra inputs",
    ),
    "an empty file": ("POST", "/encode", {"files": {"file": b""}}, 422, "invalid-media", ""),
    "an undecodable file": (
        "POST",
        "/encode",
        {"files": {"file": b"\x00\x01" * 999}},
        422,
        "invalid-media",
        "",
    ),
    "a text file": (
        "POST",
        "/encode",
        {"files": {"file": b"hello\n" * 50}},
        422,
        "invalid-media",
        "",
    ),
    "no file": (
        "POST",
        "/encode",
        {"files": {"fil": b"x"}},
        422,
        "invalid-request",
        "fil is a file: name the field file",
    ),
    "a sentence in a form": (
        "POST",
        "/encode",
        {"files": {"text": (None, "a dog barks")}},
        422,
        "invalid-request",
        "send a sentence as JSON",
    ),
    "a file as text": (
        "POST",
        "/encode",
        {"files": {"file": (None, "x")}},
        422,
        "invalid-request",
        "upload it as a file",
    ),
    "two files": (
        "POST",
        "/encode",
        {"files": [("file", b"x"), ("file", b"y")]},
        422,
        "invalid-request",
        "given 2 times",
    ),
    "an unknown modality": (
        "POST",
        "/encode",
        {"files": OK, "data": {"modality": "smell"}},
        422,
        "invalid-request",
        "modality is 'smell'",
    ),
    "a heavy body": (
        "POST",
        "/encode",
        {"files": {"file": b"x" * 2**20}},
        413,
        "too-large",
        "SRCID_MAX_UPLOAD_BYTES",
    ),
    "unknown targets": (
        "POST",
        "/search",
        {"json": {"text": "a", "targets": ["smell"]}},
        422,
        "invalid-request",
        "'smell'",
    ),
    "no targets": (
        "POST",
        "/search",
        {"json": {"text": "a", "targets": []}},
        422,
        "invalid-request",
        "targets is []",
    ),
    "targets that are a number": (
        "POST",
        "/search",
        {"json": {"text": "a", "targets": 3}},
        422,
        "invalid-request",
        "targets is 3",
    ),
    "k of 0": (
        "POST",
        "/search",
        {"json": {"text": "a", "k": 0}},
        422,
        "invalid-request",
        "k is 0",
    ),
    "k of 1001": (
        "POST",
        "/search",
        {"json": {"text": "a", "k": 1001}},
        422,
        "invalid-request",
        "k is 1001",
    ),
    "k of ten": (
        "POST",
        "/search",
        {"files": OK, "data": {"k": "ten"}},
        422,
        "invalid-request",
        "k is 'ten'",
    ),
    "layer 3": (
        "POST",
        "/search",
        {"json": {"text": "a", "layers": 3}},
        422,
        "invalid-request",
        "layers is '3'",
    ),
    "an unknown score": (
        "POST",
        "/search",
        {"json": {"text": "a", "score": "best"}},
        422,
        "invalid-request",
        "score is 'best'",
    ),
    "a search for nothing": ("POST", "/search", {"json": {"text": ""}}, 422, "invalid-media", ""),
    "no id": (
        "POST",
        "/items",
        {"json": {"text": "a"}},
        422,
        "invalid-request",
        "id: Field required",
    ),
    "an empty id": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": ""}},
        422,
        "invalid-request",
        "id is ''",
    ),
    "an id of 256 characters": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "x" * 256}},
        422,
        "invalid-request",
        "at most 255",
    ),
    "an id with a slash": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a/b"}},
        422,
        "invalid-request",
        "must not contain /",
    ),
    "an id that is a folder": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": ".."}},
        422,
        "invalid-request",
        "neither . nor ..",
    ),
    "an id that ends with a space": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a "}},
        422,
        "invalid-request",
        "begin or end with a space",
    ),
    "an id with a control character": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a\x00"}},
        422,
        "invalid-request",
        "control characters",
    ),
    "an id in the body of PUT": (
        "PUT",
        "/items/a",
        {"json": {"text": "a", "id": "b"}},
        422,
        "invalid-request",
        "id: Extra inputs",
    ),
    "a PUT to a bad id": (
        "PUT",
        "/items/%00",
        {"json": {"text": "a"}},
        422,
        "invalid-request",
        "control characters",
    ),
    "metadata that is a list": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a", "metadata": []}},
        422,
        "invalid-request",
        "metadata is []",
    ),
    "metadata that is no JSON": (
        "POST",
        "/items",
        {"files": OK, "data": {"id": "a", "metadata": "{"}},
        422,
        "invalid-request",
        "metadata is not JSON",
    ),
    "metadata with NaN": (
        "POST",
        "/items",
        {"files": OK, "data": {"id": "a", "metadata": '{"x": NaN}'}},
        422,
        "invalid-request",
        "metadata is not JSON",
    ),
    "metadata with 1e999": (
        "POST",
        "/items",
        {"files": OK, "data": {"id": "a", "metadata": '{"x": 1e999}'}},
        422,
        "invalid-request",
        "number too large",
    ),
    "heavy metadata": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a", "metadata": {"x": "y" * 70_000}}},
        413,
        "too-large",
        "SRCID_MAX_METADATA_BYTES",
    ),
    "an undecodable item": (
        "POST",
        "/items",
        {"files": OK, "data": {"id": "a"}},
        422,
        "invalid-media",
        "",
    ),
    "an undecodable replacement": ("PUT", "/items/kept", {"files": OK}, 422, "invalid-media", ""),
    "a limit of 0": ("GET", "/items?limit=0", {}, 422, "invalid-request", "limit is '0'"),
    "an item that is not there": ("GET", "/items/none", {}, 404, "not-found", "no item 'none'"),
    "a path that is not there": ("GET", "/nowhere", {}, 404, "not-found", "no GET /nowhere"),
    "a method that is not there": ("PATCH", "/encode", {}, 405, "method-not-allowed", "use POST"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Any) -> Iterator[TestClient]:
    """One app for all cases, with one item that must not be harmed."""
    from app.main import create_app

    settings = Settings(
        checkpoint=str(tiny_checkpoint),
        data_dir=tmp_path_factory.mktemp("data"),
        device="cpu",
        max_upload_bytes=2**20,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.post("/items", json={"id": "kept", "text": "a dog barks"})
        yield client


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_a_problem_document_and_loses_nothing(kept: TestClient, name: str) -> None:
    method, path, sent, status, kind, part = CASES[name]
    before = kept.get("/items").json()

    answer = kept.request(method, path, **sent)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:srcid:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert part in problem["detail"]
    assert len(problem["detail"]) > 15
    assert kept.get("/items").json() == before


def test_a_body_that_lies_about_its_length_is_counted(kept: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(100):
            sent += 2**16
            yield b"x" * 2**16

    answer = kept.post(
        "/encode",
        content=endless(),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:srcid:too-large"


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

    monkeypatch.setattr("app.service.RetrievalService.get", broken)
    answer = kept.get("/items/kept")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in json.dumps(answer.json())


def test_the_allowed_methods_are_named(kept: TestClient) -> None:
    assert kept.patch("/encode").headers["allow"] == "POST"
