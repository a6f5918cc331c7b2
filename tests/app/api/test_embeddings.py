"""POST /v1/embeddings, as OpenAI's clients use it."""

import base64
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient


def vectors(client: TestClient, **body: Any) -> "np.ndarray[Any, Any]":
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [own["index"] for own in data] == list(range(len(data)))
    assert {own["object"] for own in data} == {"embedding"}
    return np.array([own["embedding"] for own in data])


def test_sentences_become_unit_vectors_that_search_agrees_with(client: TestClient) -> None:
    texts = ["a dog barks", "rain on a roof"]
    found = vectors(client, input=texts, model="text-embedding-3-small")
    assert found.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    client.post("/items", json={"id": "a", "text": texts[0]})
    hit = client.post("/search", json={"text": texts[1]}).json()["hits"][0]
    assert found[0] @ found[1] == pytest.approx(hit["score"], abs=2e-6)
    np.testing.assert_array_equal(vectors(client, input=texts[0])[0], found[0])


def test_media_come_as_data_uris(shared_client: TestClient, clip: bytes) -> None:
    uri = f"data:video/mp4;base64,{base64.b64encode(clip).decode()}"
    found = vectors(shared_client, input=[uri])[0]
    streams = shared_client.post("/encode", files={"file": clip}, data={"floats": "true"}).json()
    pooled = [np.array(s["vectors"]["pooled"]) for s in streams["streams"].values()]
    mean = np.mean([own / np.linalg.norm(own) for own in pooled], axis=0)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_base64_holds_the_same_floats(shared_client: TestClient) -> None:
    floats = vectors(shared_client, input="a dog")[0]
    body = {"input": "a dog", "encoding_format": "base64", "user": "someone"}
    answer = shared_client.post("/v1/embeddings", json=body).json()
    packed = base64.b64decode(answer["data"][0]["embedding"])
    np.testing.assert_allclose(np.frombuffer(packed, "<f4"), floats, rtol=1e-7)
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert answer["model"].startswith("srcid-")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"input": "https://example.org/a.png"}, "no URL is ever fetched"),
        ({"input": "data:audio/wav;base64,AAAA"}, ""),
        ({"input": []}, "input"),
        ({"input": [[1, 2, 3]]}, "token ids"),
        ({"input": ["a"] * 2049}, "at most 2048 items"),
        ({"input": "a", "dimensions": 3}, "vectors have 16 numbers"),
        ({"input": " "}, "at least one word"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    shared_client: TestClient, body: dict[str, Any], part: str
) -> None:
    answer = shared_client.post("/v1/embeddings", json=body)
    assert answer.status_code == 422
    assert part in answer.json()["detail"]


def test_a_sentence_about_an_address_is_a_sentence(shared_client: TestClient) -> None:
    vectors(shared_client, input="https://example.org is a page", dimensions=16)
