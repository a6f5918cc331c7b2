"""/codes, /search/codes, /compare and /items/{id}/duplicates: against what /items say."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from model.encoder import Encoder, Vocabulary
from tests.media_maker import make_sound

SENTENCES = ["a dog barks", "A dog sleeps", "rain on a roof", "the dog"]


@pytest.fixture(scope="module")
def filled(shared_client: TestClient) -> TestClient:
    client = shared_client
    rng = np.random.default_rng(0)
    for number in range(3):
        noise = rng.normal(0, 0.1 * (number + 1), 16_000 * 6).astype(np.float32).clip(-1, 1)
        files = {"file": make_sound(noise, rate=16_000)}
        client.post("/items", files=files, data={"id": f"sound-{number}"})
    for number, text in enumerate(SENTENCES):
        client.post("/items", json={"id": f"text-{number}", "text": text})
    return client


@pytest.fixture(scope="module")
def vocabulary(shared_settings: Settings) -> Vocabulary:
    return Encoder.from_pretrained(shared_settings.checkpoint).vocabulary


def streams(client: TestClient) -> dict[tuple[str, str], "np.ndarray[Any, Any]"]:
    items = client.get("/items").json()["items"]
    return {
        (item["id"], modality): np.array(stream["codes"])
        for item in items
        for modality, stream in item["streams"].items()
    }


def test_a_card_counts_where_a_code_stands_and_what_beside_it(filled: TestClient) -> None:
    everything = streams(filled)
    code = int(everything["text-0", "text"][0, 1])  # of "dog", a word whatever stands beside it
    card = filled.get(f"/codes/1/{code}").json()
    counts: Counter[str] = Counter()
    beside: Counter[tuple[int, int]] = Counter()
    for (_, modality), codes in everything.items():
        counts[modality] += int((codes[0] == code).sum())
        beside.update((1, int(other)) for other in codes[1, codes[0] == code])
    assert card["counts"] == {modality: count for modality, count in counts.items() if count}
    assert {(c["row"], c["code"]): c["count"] for c in card["companions"]} == dict(beside)
    assert all(companion["layer"] == 2 for companion in card["companions"])
    assert (card["layer"], card["row"], card["code"]) == (1, 0, code)
    for place in card["best"]:
        assert everything[place["id"], place["modality"]][0, place["second"]] == code
    assert card["agreement"] is None


def test_a_card_tells_the_words_of_a_code(filled: TestClient) -> None:
    code = int(streams(filled)["text-0", "text"][0, 1])
    expected: Counter[str] = Counter()
    for (name, modality), codes in streams(filled).items():
        if modality == "text":
            words = SENTENCES[int(name[-1])].lower().split()
            expected.update(word for word, own in zip(words, codes[0], strict=True) if own == code)
    words = filled.get(f"/codes/1/{code}").json()["words"]
    assert {word["word"]: word["count"] for word in words} == dict(expected)
    assert [word["count"] for word in words] == sorted(expected.values(), reverse=True)


@pytest.mark.parametrize("path", ["/codes/3/1", "/codes/1/32", "/codes/0/0", "/codes/1/1?row=1"])
def test_a_code_that_the_checkpoint_does_not_have_is_not_found(
    shared_client: TestClient, path: str
) -> None:
    answer = shared_client.get(path)
    assert answer.status_code == 404
    assert "this checkpoint has layers [1, 2]" in answer.json()["detail"]


def test_a_pattern_is_found_wherever_it_stands(filled: TestClient) -> None:
    everything = streams(filled)
    codes = everything["sound-1", "audio"]
    for pattern, row in (
        (codes[:, 1:3].tolist(), None),
        ([codes[0, 1:4].tolist()], None),
        ([codes[1, 1:3].tolist()], 1),
        ([[int(codes[0, 0]), None, int(codes[0, 2])]], 0),
    ):
        answer = filled.post("/search/codes", json={"pattern": pattern, "row": row, "k": 1000})
        assert answer.status_code == 200, answer.text
        found = {(p["id"], p["modality"], p["second"]) for p in answer.json()["places"]}
        wanted = np.array([[-1 if c is None else c for c in line] for line in pattern])
        rows = slice(None) if len(pattern) == 2 else slice(row or 0, (row or 0) + 1)
        expected = {
            (*key, second)
            for key, own in everything.items()
            for second in range(own.shape[1] - wanted.shape[1] + 1)
            if ((wanted == -1) | (own[rows, second : second + wanted.shape[1]] == wanted)).all()
        }
        assert found == expected
        assert found


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ([[1, 2], [1]], "different lengths"),
        ([[None]], "names no code"),
        ([[32]], "code 32: this checkpoint has 0 to 31"),
        ([[1], [1], [1]], "3 rows"),
        ([], "at least 1 item"),
        ([[]], "at least 1 item"),
        ([[1] * 65], "at most 64 items"),
        ([[-1]], "greater than or equal to 0"),
    ],
)
def test_an_impossible_pattern_is_refused(
    shared_client: TestClient, pattern: Any, part: str
) -> None:
    answer = shared_client.post("/search/codes", json={"pattern": pattern})
    assert answer.status_code == 422
    assert part in answer.json()["detail"]


def test_a_heat_map_is_the_cosine_of_every_second_with_every_second(
    filled: TestClient, vocabulary: Vocabulary
) -> None:
    codes = streams(filled)
    for layers, numbers in {"1": [1], "both": [1, 2]}.items():
        body = {"a": {"item": "sound-0"}, "b": "a dog barks", "layers": layers}
        (heat,) = filled.post("/compare", json=body).json()["maps"]
        assert (heat["a"], heat["b"]) == ("audio", "text")
        x, y = (
            vocabulary.steps(own.astype(np.int16), numbers).astype(float)
            for own in (codes["sound-0", "audio"], codes["text-0", "text"])
        )
        for s, left in enumerate(x):
            for t, right in enumerate(y):
                cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
                assert heat["cosines"][s][t] == pytest.approx(cosine, abs=2e-6)
        found = filled.post("/search", json={"text": "a dog barks", "layers": layers, "k": 99})
        hit = next(hit for hit in found.json()["hits"] if hit["id"] == "sound-0")
        assert heat["score"] == pytest.approx(hit["score"], abs=2e-6)


def test_every_stream_is_compared_with_every_stream(client: TestClient, clip: bytes) -> None:
    client.post("/items", files={"file": clip}, data={"id": "clip"})
    maps = client.post("/compare", json={"a": {"item": "clip"}, "b": {"item": "clip"}}).json()[
        "maps"
    ]
    assert {(own["a"], own["b"]) for own in maps} == {
        (m, n) for m in ("audio", "video") for n in ("audio", "video")
    }
    one = {"a": {"item": "clip", "modality": "audio"}, "b": {"text": "a dog"}}
    assert len(client.post("/compare", json=one).json()["maps"]) == 1
    assert client.post("/compare", json={"a": {"item": "ghost"}, "b": "x"}).status_code == 404
    assert client.post("/compare", json={"a": {"q": 1}, "b": "x"}).status_code == 422


def test_duplicates_are_streams_of_equal_codes(client: TestClient, clip: bytes) -> None:
    for name in ("a", "b"):
        client.post("/items", files={"file": clip}, data={"id": name})
    client.post("/items", json={"id": "c", "text": "a dog"})
    answer = client.get("/items/a/duplicates").json()
    assert answer == {
        "id": "a",
        "duplicates": [{"id": "b", "modality": "audio"}, {"id": "b", "modality": "video"}],
    }
    assert client.get("/items/c/duplicates").json()["duplicates"] == []
    assert client.get("/items/ghost/duplicates").status_code == 404
