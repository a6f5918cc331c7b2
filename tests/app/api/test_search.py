"""POST /search."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from model.encoder import Encoder
from tests.media_maker import make_sound, make_video, tone


@pytest.fixture(scope="module")
def filled(shared_client: TestClient) -> TestClient:
    """A few sounds, clips and sentences."""
    client = shared_client
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = rng.normal(0, 0.1 * (number + 1), 16_000 * 3).astype(np.float32).clip(-1, 1)
        frames = rng.integers(0, 255, (30, 32, 32, 3), dtype=np.uint8)
        sound = make_sound(noise, rate=16_000)
        client.post("/items", files={"file": sound}, data={"id": f"sound-{number}"})
        video = make_video(frames, audio=tone(3, hertz=200.0 * (number + 1)))
        client.post("/items", files={"file": video}, data={"id": f"clip-{number}"})
        text = ["a dog barks", "rain on a roof", "bells", "zebra quiz"][number]
        client.post(
            "/items", json={"id": f"text-{number}", "text": text, "metadata": {"n": number}}
        )
    return client


def test_a_sentence_finds_itself_with_all_that_is_known_of_it(filled: TestClient) -> None:
    body = filled.post("/search", json={"text": "rain on a roof", "targets": ["text"]}).json()
    assert body["fingerprint"] == filled.get("/model").json()["fingerprint"]
    assert body["hits"][0]["score"] == 1.0
    assert {
        "id": "text-1",
        "modality": "text",
        "score": 1.0,
        "best_second": None,
        "text": "rain on a roof",
        "metadata": {"n": 1},
        "probability": None,
        "has_media": False,
        "has_thumbnail": False,
    } in body["hits"]


def test_hits_are_the_cosines_of_the_codes_vectors(
    filled: TestClient, shared_settings: Settings
) -> None:
    vocabulary = Encoder.from_pretrained(shared_settings.checkpoint).vocabulary
    query = filled.post("/encode", json={"text": "a dog"}).json()["streams"]["text"]["codes"]
    for layers, numbers in {"1": [1], "2": [2], "both": [1, 2]}.items():
        body = filled.post("/search", json={"text": "a dog", "k": 100, "layers": layers}).json()
        assert len(body["hits"]) == 16
        for hit in body["hits"]:
            item = filled.get(f"/items/{hit['id']}").json()
            x, y = (
                vocabulary.pooled(np.array(codes, np.int16), numbers).astype(float)
                for codes in (query, item["streams"][hit["modality"]]["codes"])
            )
            cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            assert hit["score"] == pytest.approx(cosine, abs=2e-6)
        order = [(-hit["score"], hit["id"]) for hit in body["hits"]]
        assert order == sorted(order)


def test_only_the_targets_are_searched(filled: TestClient) -> None:
    for targets in (["audio"], ["video", "text"], ["audio", "video", "text"]):
        body = filled.post("/search", json={"text": "a", "targets": targets, "k": 50}).json()
        assert {hit["modality"] for hit in body["hits"]} == set(targets)
    everything = filled.post("/search", json={"text": "a", "k": 50}).json()["hits"]
    assert len(everything) == 16


def test_a_clip_asks_with_picture_and_sound_and_the_better_counts(
    filled: TestClient, clip: bytes
) -> None:
    def search(**data: str) -> dict[tuple[str, str], float]:
        answer = filled.post("/search", files={"file": clip}, data={"k": "50", **data})
        hits = answer.json()["hits"]
        return {(hit["id"], hit["modality"]): hit["score"] for hit in hits}

    both, audio, video = search(), search(modality="audio"), search(modality="video")
    assert both == {key: max(audio[key], video[key]) for key in both}
    assert audio != video


def test_a_form_takes_targets_apart_or_together(filled: TestClient, sound: bytes) -> None:
    together = filled.post("/search", files={"file": sound}, data={"targets": "audio, video"})
    apart = filled.post("/search", files={"file": sound}, data={"targets": ["audio", "video"]})
    assert together.status_code == apart.status_code == 200
    assert together.json() == apart.json()


def test_layers_may_be_a_number(filled: TestClient) -> None:
    number = filled.post("/search", json={"text": "a dog", "layers": 2})
    text = filled.post("/search", json={"text": "a dog", "layers": "2"})
    assert number.json() == text.json()
    assert number.status_code == 200


def test_k_is_the_most_hits(filled: TestClient) -> None:
    assert len(filled.post("/search", json={"text": "a", "k": 3}).json()["hits"]) == 3


def test_an_indexed_sound_is_found_by_itself_with_its_best_second(
    filled: TestClient,
) -> None:
    rng = np.random.default_rng(5)
    loud = rng.normal(0, 0.3, 48_000).astype(np.float32).clip(-1, 1)
    sound = make_sound(loud, rate=16_000)
    filled.post("/items", files={"file": sound}, data={"id": "!first"})
    hit = filled.post("/search", files={"file": sound}, data={"targets": "audio"}).json()["hits"][0]
    assert (hit["id"], hit["score"]) == ("!first", 1.0)
    assert hit["best_second"] in {0, 1, 2}
    filled.delete("/items/!first")
