"""Fields of a search or an item that are not what they should be: a 4xx that says what to do."""

from collections.abc import Callable
from typing import Any

import pytest

OK = {"file": b"RIFF"}

# name: (method, path, what is sent, status, type, a part of the detail)
CASES: dict[str, tuple[str, str, dict[str, Any], int, str, str]] = {
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
    "an id that is a folder": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": ".."}},
        422,
        "invalid-request",
        "neither . nor ..",
    ),
    "an id with a control character": (
        "POST",
        "/items",
        {"json": {"text": "a", "id": "a\x00"}},
        422,
        "invalid-request",
        "control character NUL",
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
        "control character NUL",
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
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_field_is_a_problem_document_and_loses_nothing(
    refused: Callable[..., None], name: str
) -> None:
    refused(*CASES[name])
