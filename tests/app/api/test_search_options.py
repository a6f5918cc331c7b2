"""POST /search: items as queries, arithmetic, filters, thresholds, curves, probabilities."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from model.calibration import WINDOW, Calibration, Logistic, pair, write_calibration
from model.modality import Modality
from tests.media_maker import make_sound


@pytest.fixture(scope="module")
def filled(shared_client: TestClient) -> TestClient:
    client = shared_client
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = rng.normal(0, 0.1 * (number + 1), 16_000 * 5).astype(np.float32).clip(-1, 1)
        client.post(
            "/items",
            files={"file": make_sound(noise, rate=16_000)},
            data={"id": f"sound-{number}", "metadata": f'{{"n": {number}, "even": {number % 2}}}'},
        )
        text = ["a dog barks", "rain on a roof", "bells", "zebra quiz"][number]
        client.post("/items", json={"id": f"text-{number}", "text": text, "metadata": {"n": 9}})
    return client


def hits(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


def test_an_item_is_a_query_without_being_sent_again(filled: TestClient) -> None:
    by_item = hits(filled, item="text-1", k=50)
    assert by_item == hits(filled, text="rain on a roof", k=50)
    assert filled.post("/search", json={"item": "ghost"}).status_code == 404
    wrong = filled.post("/search", json={"item": "text-1", "modality": "audio"})
    assert wrong.status_code == 422
    assert "no audio stream: name one of text" in wrong.json()["detail"]


def test_parts_may_be_sentences_items_and_media(filled: TestClient, sound: bytes) -> None:
    media = base64.b64encode(sound).decode()
    plain = {hit["id"]: hit["score"] for hit in hits(filled, text="a dog", k=50)}
    for parts in (
        {"minus": ["bells"]},
        {"minus": [{"text": "bells"}]},
        {"minus": [{"item": "text-2", "weight": 1}]},
    ):
        changed = {hit["id"]: hit["score"] for hit in hits(filled, text="a dog", k=50, **parts)}
        assert changed["text-2"] < plain["text-2"]
    assert hits(filled, text="a dog", plus=[{"media": media, "weight": 0.5}])
    excluded = hits(filled, text="a dog", exclude=["bells"], targets=["text"])
    assert next(hit for hit in excluded if hit["id"] == "text-2")["score"] == 0


def test_a_form_holds_parts_and_filters_as_json(filled: TestClient, sound: bytes) -> None:
    answer = filled.post(
        "/search",
        files={"file": sound},
        data={"minus": '["bells"]', "where": '{"n": 2}', "k": "5"},
    )
    assert answer.status_code == 200, answer.text
    assert [hit["id"] for hit in answer.json()["hits"]] == ["sound-2"]


def test_parts_have_their_limits(filled: TestClient) -> None:
    many = filled.post("/search", json={"text": "a", "minus": ["b"] * 9})
    assert many.status_code == 422
    nothing = filled.post("/search", json={"text": "bells", "exclude": ["bells"]})
    assert nothing.status_code == 422
    assert "nothing is left of the query" in nothing.json()["detail"]


def test_only_what_passes_the_filter_is_found(filled: TestClient) -> None:
    assert {hit["id"] for hit in hits(filled, text="a", where={"n": {"lt": 2}})} == {
        "sound-0",
        "sound-1",
    }
    assert {hit["id"] for hit in hits(filled, text="a", where={"n": 9}, k=50)} == {
        f"text-{number}" for number in range(4)
    }


def test_a_threshold_leaves_the_better_hits(filled: TestClient) -> None:
    everything = hits(filled, text="a dog", k=50)
    middle = everything[3]["score"]
    assert hits(filled, text="a dog", k=50, threshold=middle) == everything[:4]
    assert filled.post("/search", json={"text": "a", "threshold": 2}).status_code == 422


def test_a_curve_is_the_likeness_by_the_second(filled: TestClient) -> None:
    found = hits(filled, text="a dog", targets=["audio"], score="max", curves=True)
    assert len(found) == 4
    for hit in found:
        assert len(hit["curve"]) == 5
        assert hit["score"] == pytest.approx(max(hit["curve"]), abs=2e-6)
        assert hit["curve"][hit["best_second"]] == max(hit["curve"])
    assert "curve" not in hits(filled, text="a dog")[0]


def test_a_window_lies_between_the_best_second_and_the_mean(filled: TestClient) -> None:
    scores = {
        name: {
            hit["id"]: hit["score"]
            for hit in hits(filled, text="a dog", targets=["audio"], score=kind, window=window)
        }
        for name, kind, window in (("max", "max", 3), ("one", "window", 1), ("all", "window", 60))
    }
    mean = {hit["id"]: hit["score"] for hit in hits(filled, text="a dog", targets=["audio"])}
    assert scores["one"] == scores["max"]
    assert scores["all"] == mean


@pytest.fixture
def calibrated(settings: Settings, tiny_checkpoint: Any, tmp_path: Any) -> Iterator[TestClient]:
    import shutil

    folder = tmp_path / "calibrated"
    shutil.copytree(tiny_checkpoint, folder)
    curve = Logistic(slope=20, bias=-18)  # one half at .9
    matches = {
        pair(Modality.TEXT, Modality.TEXT, layers="both", kind=kind): curve
        for kind in ("mean", "window")
    }
    write_calibration(folder, Calibration(matches=matches, agreement={"1": {"audio ~ text": 0.25}}))
    changed = {"checkpoint": str(folder), "data_dir": tmp_path / "calibrated-data"}
    with TestClient(create_app(settings.model_copy(update=changed))) as opened:
        yield opened


def test_a_calibrated_search_says_that_nothing_matches(calibrated: TestClient) -> None:
    calibrated.post("/items", json={"id": "a", "text": "a dog barks"})
    found = calibrated.post("/search", json={"text": "a dog barks"}).json()
    assert found["nothing_matches"] is False
    assert found["hits"][0]["probability"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-4)
    other = calibrated.post("/search", json={"text": "zebra quiz umbrella"}).json()
    assert other["hits"][0]["score"] < 0.9
    assert other["hits"][0]["probability"] < 0.5
    assert other["nothing_matches"] is True
    assert calibrated.get("/model").json()["is_calibrated"] is True


def test_what_is_not_calibrated_has_no_probability(
    calibrated: TestClient, client: TestClient
) -> None:
    for opened, body in (
        (client, {"text": "a dog"}),
        (calibrated, {"text": "a dog", "layers": "1"}),
        (calibrated, {"text": "a dog", "minus": ["rain"]}),
        (calibrated, {"text": "a dog", "score": "window", "window": WINDOW + 1}),
    ):
        opened.post("/items", json={"id": "a", "text": "a dog barks"})
        found = opened.post("/search", json=body).json()
        assert found["hits"][0]["probability"] is None
        assert found["nothing_matches"] is None
    body = {"text": "a dog", "score": "window", "window": WINDOW}
    assert calibrated.post("/search", json=body).json()["hits"][0]["probability"] is not None


def test_an_empty_index_has_nothing_that_matches(client: TestClient) -> None:
    found = client.post("/search", json={"text": "a dog"}).json()
    assert found["hits"] == []
    assert found["nothing_matches"] is True


def test_what_is_like_nothing_the_checkpoint_knows_matches_nothing(
    settings: Settings, tiny_checkpoint: Any, tmp_path: Any
) -> None:
    import shutil

    folder = tmp_path / "strict"
    shutil.copytree(tiny_checkpoint, folder)
    key = pair(Modality.TEXT, Modality.TEXT, layers="both", kind="mean")
    curve, never = Logistic(slope=0, bias=10), Logistic(slope=0, bias=-10)
    calibration = Calibration(matches={key: curve}, familiar={Modality.TEXT: never})
    write_calibration(folder, calibration)
    with TestClient(create_app(settings.model_copy(update={"checkpoint": str(folder)}))) as client:
        client.post("/items", json={"id": "a", "text": "a dog"})
        assert client.post("/search", json={"text": "a dog"}).json()["nothing_matches"] is True
        known = client.post("/search", json={"item": "a"}).json()  # whose codes are what is asked
        assert known["nothing_matches"] is False
