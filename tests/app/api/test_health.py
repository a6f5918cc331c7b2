"""/livez, /readyz, /model, /docs and the schema."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.routes import state
from app.engine.sandbox import supported
from app.settings import Settings


def test_the_service_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json()["status"] == "ready"


def test_ready_tells_what_confines_the_decoders(client: TestClient, picture: bytes) -> None:
    assert client.post("/encode", files={"file": picture}).status_code == 200
    confined = client.get("/readyz").json()["decode_sandbox"]
    assert confined == supported().parts


def test_ready_tells_within_two_seconds_that_the_network_died_and_is_repaired(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise SystemExit("dead")

    with monkeypatch.context() as patch:
        patch.setattr("model.encoder.Encoder.features", die)
        failed = client.post("/encode", json={"text": "a dog"})
        assert failed.status_code == 503
        assert failed.headers["Retry-After"] == "2"
        assert "device thread" in client.get("/readyz").json()["detail"]
    assert client.post("/encode", json={"text": "a dog"}).status_code == 200
    monkeypatch.setattr("app.engine.batcher.RECOVERY_SECONDS", 0)
    deadline = time.monotonic() + 30
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline


def test_a_service_that_is_told_to_stop_is_alive_and_answers_but_is_not_ready(
    client: TestClient,
) -> None:
    app = cast(FastAPI, client.app)
    app.state.service.drain()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert client.get("/livez").status_code == 200
    assert client.post("/encode", json={"text": "a dog"}).status_code == 200


def test_an_index_that_does_not_answer_is_not_ready(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr("app.store.local.LocalStore.page", lambda *_, **__: released.wait(10))
    monkeypatch.setattr(state, "CHECK_SECONDS", 0.01)
    answer = client.get("/readyz")
    released.set()
    assert answer.status_code == 503
    assert "index does not answer" in answer.json()["detail"]


def test_alive_and_ready_are_told_while_all_threads_are_busy(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, waiting = threading.Event(), threading.Semaphore(0)

    def wait(*_: object) -> None:
        waiting.release()
        released.wait(10)

    monkeypatch.setattr("app.store.local.LocalStore.get", wait)
    with ThreadPoolExecutor(45) as pool:
        answers = [pool.submit(client.get, "/items/one") for _ in range(45)]
        for _ in range(40):  # as many threads as there are for routes
            assert waiting.acquire(timeout=30)
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert not any(answer.done() for answer in answers)
        released.set()
    assert {answer.result().status_code for answer in answers} == {404}


def test_the_model_tells_what_is_served(client: TestClient, settings: Settings) -> None:
    model = client.get("/model").json()
    assert model["checkpoint"] == settings.checkpoint
    assert len(model["fingerprint"]) == 16
    assert model["modalities"]["audio"] == {"backbone": "tiny-audio", "feature_shape": [8]}
    assert model["modalities"].keys() == {"audio", "video", "text"}
    assert model["code_layers"] == [1, 2]
    assert model["codebook_sizes"] == [32, 32]
    assert model["num_items"] == 0
    assert model["limits"]["max_upload_bytes"] == 2**20


def test_the_schema_describes_both_bodies_and_every_problem(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert "$defs" not in str(schema)
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    paths = {path for path, _, _ in operations}
    assert {"/encode", "/search", "/items", "/items/{id}", "/livez", "/model"} <= paths
    for path, method, operation in operations:
        assert operation["description"], (path, method)
        if method in {"post", "put"}:
            content = operation["requestBody"]["content"]
            assert "application/json" in content
            form = content.get("multipart/form-data", {}).get("schema", {})
            assert form == {} or "file" in form["properties"]
        for status, answer in operation["responses"].items():
            if status >= "400" and status != "416":  # of ranges, which the framework answers
                assert answer["content"].keys() == {"application/problem+json"}, (path, status)
