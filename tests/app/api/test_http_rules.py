"""What RFC 9110 asks of every route: HEAD, the header Allow, encoded bodies."""

import gzip
import json

import pytest
from starlette.testclient import TestClient

PATHS = ["/", "/web/index.html", "/livez", "/readyz", "/model", "/metrics", "/items", "/items/kept"]


@pytest.mark.parametrize("path", [*PATHS, "/codes/1/0", "/jobs", "/openapi.json", "/items/none"])
def test_head_answers_as_get_without_the_body(kept: TestClient, path: str) -> None:
    head, get = kept.head(path), kept.get(path)
    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # which count the requests
        assert head.headers["content-length"] == str(len(get.content))


def test_a_wrong_method_is_told_all_that_are_right(kept: TestClient) -> None:
    for path, allowed in {
        "/items": "GET, HEAD, POST, DELETE",
        "/items/kept": "GET, HEAD, PUT, PATCH, DELETE",
        "/search": "POST",
        "/": "GET, HEAD",
    }.items():
        wrong = "POST" if path == "/items/kept" else "PATCH"
        answer = kept.request(wrong, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
        assert answer.json()["detail"] == f"there is no {wrong} {path}: use {allowed}"
    assert kept.head("/search").status_code == 405


@pytest.mark.parametrize("path", ["/encode", "/search/codes", "/v1/embeddings", "/items"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, GZIP"])
def test_an_encoded_body_is_refused_by_the_name_of_its_encoding(
    kept: TestClient, path: str, encoding: str
) -> None:
    answer = kept.post(
        path,
        content=gzip.compress(json.dumps({"text": "a dog barks"}).encode()),
        headers={"content-type": "application/json", "content-encoding": encoding},
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["accept-encoding"] == "identity"
    assert encoding.split()[-1].lower() in answer.json()["detail"]
    assert "Content-Encoding" in answer.json()["detail"]


def test_a_body_that_is_not_encoded_may_say_so(kept: TestClient) -> None:
    answer = kept.post("/encode", json={"text": "a dog"}, headers={"content-encoding": "identity"})
    assert answer.status_code == 200
