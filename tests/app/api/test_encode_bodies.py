"""POST /encode: the same media in every way in which they may be sent."""

import base64
import io
from threading import Event
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from starlette.testclient import TestClient

from app.main import create_app
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


def npy(array: "np.ndarray[Any, Any]") -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_media_are_encoded_alike_however_they_are_sent(client: TestClient, clip: bytes) -> None:
    form = client.post("/encode", files={"file": clip}).json()
    encoded = base64.b64encode(clip).decode()
    uri = f"data:video/mp4;base64,{encoded}"
    for media in (encoded, uri, encoded[:40] + "\n " + encoded[40:]):
        assert client.post("/encode", json={"media": media}).json() == form
    for kind in ("video/mp4", "video/anything", "application/octet-stream"):
        raw = client.post("/encode", content=clip, headers={"content-type": kind})
        assert raw.json() == form, kind


def test_the_query_string_holds_the_fields_of_raw_media(client: TestClient, clip: bytes) -> None:
    wanted = client.post("/encode", files={"file": clip}, data={"modality": "audio"}).json()
    raw = client.post(
        "/encode?modality=audio", content=clip, headers={"content-type": "video/mp4"}
    ).json()
    assert raw == wanted
    assert raw["streams"].keys() == {"audio"}


def test_a_field_is_given_once(client: TestClient, clip: bytes) -> None:
    twice = client.post("/encode?modality=audio", files={"file": clip}, data={"modality": "audio"})
    assert twice.status_code == 422
    assert "modality is in the query string and in the body" in twice.json()["detail"]


def test_a_file_is_refused_before_it_is_read_where_no_more_may_wait(
    settings: Settings, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings.model_copy(update={"max_queue": 1}))
    kind = {"content-type": "multipart/form-data; boundary=x"}
    with TestClient(app) as client:
        engine, may_encode, has_left = app.state.service._engine, Event(), Event()
        quantize = engine.encoder.quantize

        def later(features: Any) -> Any:
            assert may_encode.wait(30)
            return quantize(features)

        monkeypatch.setattr(engine.encoder, "quantize", later)
        waiting = engine.submit(clip)
        waiting.add_done_callback(lambda _: has_left.set())  # after the engine's own
        refused = client.post("/encode", content=b"no form", headers=kind)
        assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "1")
        assert client.post("/encode", json={"text": ""}).status_code == 422  # sentences are read
        may_encode.set()
        assert has_left.wait(30)
        waiting.result()
        assert client.post("/encode", content=b"no form", headers=kind).status_code == 400


@pytest.mark.parametrize("name", ["npy", "safetensors"])
def test_features_give_the_codes_of_the_media_they_are_of(
    client: TestClient, encoder: Encoder, sound: bytes, name: str
) -> None:
    prepared = encoder.prepare(read_clip(sound))
    features = encoder.features(list(prepared.items()))[0].numpy()
    data = npy(features) if name == "npy" else save({"audio": features})
    form = {"modality": "audio"} if name == "npy" else {}
    answer = client.post("/encode", files={"file": data}, data=form)
    assert answer.status_code == 200, answer.text
    whole = client.post("/encode", files={"file": sound}).json()
    assert answer.json()["streams"] == whole["streams"]
    assert answer.json()["duration_seconds"] == 3.0


def test_features_that_do_not_fit_are_refused(client: TestClient) -> None:
    for array, part in {
        "shape": (np.zeros((3, 9), np.float32), "[T, 8]"),
        "steps": (np.zeros((61, 8), np.float32), "61 steps, of at most 60"),
    }.values():
        answer = client.post("/encode", files={"file": npy(array)}, data={"modality": "audio"})
        assert answer.status_code in {413, 422}
        assert part in answer.json()["detail"]


def test_floats_come_where_they_are_asked_for(client: TestClient, encoder: Encoder) -> None:
    plain = client.post("/encode", json={"text": "a dog"}).json()["streams"]["text"]
    assert plain.keys() == {"codes"}
    floats = client.post("/encode", json={"text": "a dog", "floats": True}).json()
    stream = floats["streams"]["text"]
    codes = np.array(stream["codes"], np.int16)
    np.testing.assert_allclose(
        stream["vectors"]["steps"], encoder.vocabulary.steps(codes, [1, 2]), rtol=1e-6
    )
    np.testing.assert_allclose(
        stream["vectors"]["pooled"], encoder.vocabulary.pooled(codes, [1, 2]), rtol=1e-6
    )


@pytest.mark.parametrize(
    "media",
    ["https://example.org/a.wav", "HTTP://169.254.169.254/", "file:///etc/passwd", "ftp://x/y"],
)
@pytest.mark.parametrize("path", ["/encode", "/search", "/items"])
def test_no_url_is_ever_fetched(client: TestClient, media: str, path: str) -> None:
    body = {"media": media, **({"id": "a"} if path == "/items" else {})}
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert "no URL is ever fetched" in answer.json()["detail"]


@pytest.mark.parametrize("media", ["not base64!", "data:audio/wav,abc", "data:;base64", "YQ"])
def test_what_is_no_base64_is_said(client: TestClient, media: str) -> None:
    answer = client.post("/encode", json={"media": media})
    assert answer.status_code == 422
    assert "base64" in answer.json()["detail"]


def test_a_batch_has_an_answer_or_a_problem_for_each(client: TestClient, sound: bytes) -> None:
    media = base64.b64encode(sound).decode()
    batch = {
        "items": [
            {"text": "a dog"},
            {"media": "https://example.org"},
            {"media": media},
            {"text": " "},
            {"media": base64.b64encode(b"no media").decode()},
        ]
    }
    answer = client.post("/encode/batch", json=batch)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [200, 422, 200, 422, 422]
    assert results[0]["answer"] == client.post("/encode", json={"text": "a dog"}).json()
    assert results[2]["answer"] == client.post("/encode", files={"file": sound}).json()
    assert results[1]["problem"]["type"] == "urn:srcid:invalid-media"
    assert results[1]["answer"] is None


def test_a_form_may_hold_a_batch_of_files(client: TestClient, sound: bytes, picture: bytes) -> None:
    files = [("file", sound), ("file", b"x"), ("file", picture)]
    results = client.post("/encode/batch", files=files).json()["results"]
    assert [result["status"] for result in results] == [200, 422, 200]
    assert results[2]["answer"]["streams"].keys() == {Modality.VIDEO}


def test_a_batch_has_its_limit(client: TestClient) -> None:
    for count, status in ((100, 200), (101, 422), (0, 422)):
        answer = client.post("/encode/batch", json={"items": [{"text": "a"}] * count})
        assert answer.status_code == status
    many = client.post("/encode/batch", files=[("file", b"x")] * 101)
    assert many.status_code in {400, 422}
