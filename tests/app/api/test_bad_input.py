"""Bodies with nothing in them that could be encoded: a 4xx that says what to do."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

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
    "a wrong field": (
        "POST",
        "/encode",
        {"json": {"query": "dog"}},
        422,
        "invalid-request",
        "text: Field required; query: Extra inputs",
    ),
    "JSON that is cut off": (
        "POST",
        "/compare",
        {"content": b'{"a": "x"', "headers": JSON},
        422,
        "invalid-request",
        "the body is not JSON",
    ),
    "no JSON at all": (
        "POST",
        "/compare",
        {},
        422,
        "invalid-request",
        "the body: Field required",
    ),
    "a wrong field named path": (
        "POST",
        "/compare",
        {"json": {"a": "x", "b": "y", "path": 1}},
        422,
        "invalid-request",
        "path: Extra inputs",
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
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_body_is_a_problem_document_and_loses_nothing(
    refused: Callable[..., None], name: str
) -> None:
    refused(*CASES[name])


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
