"""Two servers on one Milvus: what one has acknowledged, the other finds."""

from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.milvus_lite import address_of
from tests.running_server import serving


@pytest.fixture
def shared(settings: Settings, tmp_path: Path) -> list[Settings]:
    address = address_of(tmp_path)
    return [
        settings.model_copy(
            update={
                "data_dir": tmp_path / name,
                "store_url": address.url,
                "store_collection": address.collection,
            }
        )
        for name in ("one", "other")
    ]


def test_replicas_answer_alike(shared: list[Settings], clip: bytes) -> None:
    with TestClient(create_app(shared[0])) as one, TestClient(create_app(shared[1])) as other:
        fields = {"id": "beach", "metadata": '{"album": "sea"}'}
        assert one.post("/items", data=fields, files={"file": clip}).status_code == 201
        assert other.get("/items/beach").json() == one.get("/items/beach").json()
        again = other.post("/items", data=fields, files={"file": clip})
        assert again.status_code == 409
        query = {"text": "waves", "where": {"album": "sea"}, "score": "max"}
        answers = [client.post("/search", json=query).json() for client in (one, other)]
        assert answers[0] == answers[1]
        assert [hit["id"] for hit in answers[0]["hits"]] == ["beach", "beach"]
        assert one.get("/model").json()["num_items"] == 1
        assert other.delete("/items/beach").status_code == 204
        assert one.get("/items/beach").status_code == 404
        assert not (shared[0].data_dir / "items.sqlite3").exists()


@pytest.mark.slow
def test_a_replica_that_is_killed_takes_nothing_with_it(
    tiny_checkpoint: Path, tmp_path: Path, clip: bytes
) -> None:
    address = address_of(tmp_path)
    own = {"store_url": address.url, "store_collection": address.collection, "max_decodes": 1}
    with (
        serving(tiny_checkpoint, tmp_path / "one", **own) as one,
        serving(tiny_checkpoint, tmp_path / "other", **own) as other,
        httpx2.Client(timeout=60) as client,
    ):
        added = client.post(
            f"{one.address}/items", data={"id": "beach"}, files={"file": ("clip.mp4", clip)}
        )
        assert added.status_code == 201
        one.process.kill()
        found = client.post(f"{other.address}/search", json={"text": "waves"}).json()
        assert {hit["id"] for hit in found["hits"]} == {"beach"}
