"""POST /encode."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from model.encoder import Encoder
from model.media import read_clip
from model.modality import Modality


@pytest.fixture(scope="module")
def client(shared_client: TestClient) -> TestClient:
    return shared_client


@pytest.fixture(scope="module")
def encoder(shared_settings: Settings) -> Encoder:
    return Encoder.from_pretrained(shared_settings.checkpoint)


def test_a_clip_gives_the_codes_of_picture_and_sound(
    client: TestClient, encoder: Encoder, clip: bytes
) -> None:
    answer = client.post("/encode", files={"file": clip})
    assert answer.status_code == 200
    body = answer.json()
    assert body["fingerprint"] == encoder.fingerprint
    assert body["code_layers"] == encoder.vocabulary.layers.tolist() == [1, 2]
    assert body["duration_seconds"] == pytest.approx(3, abs=0.1)
    expected = encoder.encode(read_clip(clip))
    assert body["streams"].keys() == {"audio", "video"}
    for modality, codes in expected.items():
        assert body["streams"][modality]["codes"] == codes.tolist()
        assert np.shape(body["streams"][modality]["codes"]) == (2, 3)


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_one_stream_of_a_clip_can_be_asked_for(
    client: TestClient, clip: bytes, modality: str
) -> None:
    whole = client.post("/encode", files={"file": clip}).json()
    answer = client.post("/encode", files={"file": clip}, data={"modality": modality}).json()
    assert answer["streams"] == {modality: whole["streams"][modality]}
    assert answer["duration_seconds"] == whole["duration_seconds"]


def test_a_sentence_has_a_step_a_word_and_no_duration(client: TestClient, encoder: Encoder) -> None:
    answer = client.post("/encode", json={"text": "a dog barks"}).json()
    assert answer["streams"] == {
        Modality.TEXT: {"codes": encoder.encode("a dog barks")["text"].tolist()}
    }
    assert answer["duration_seconds"] is None


def test_a_picture_is_one_step_of_video_without_duration(
    client: TestClient, picture: bytes
) -> None:
    answer = client.post("/encode", files={"file": picture}).json()
    assert answer["streams"].keys() == {"video"}
    assert np.shape(answer["streams"]["video"]["codes"]) == (2, 1)
    assert answer["duration_seconds"] is None


def test_media_is_encoded_up_to_max_steps(
    client: TestClient, settings: Settings, sound: bytes
) -> None:
    from app.main import create_app

    shorter = settings.model_copy(
        update={"max_steps": 2, "data_dir": settings.data_dir.parent / "other"}
    )
    with TestClient(create_app(shorter)) as short:
        answer = short.post("/encode", files={"file": sound}).json()
    assert np.shape(answer["streams"]["audio"]["codes"]) == (2, 2)
    assert answer["duration_seconds"] == pytest.approx(2.5, abs=0.05)
