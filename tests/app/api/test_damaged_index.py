"""What a server answers whose database is damaged while it runs, or was before."""

import sqlite3
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

PAGE = 4096


@pytest.fixture
def damaged(settings: Settings) -> Settings:
    """Settings of an index whose codes can be read, but none of its items."""
    with TestClient(create_app(settings)) as client:
        added = client.post("/items", json={"id": "a", "text": "a dog barks"})
        assert added.status_code == 201
    path = settings.data_dir / "items.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    return settings


def test_what_cannot_be_read_is_answered_by_503_and_says_what_to_do(damaged: Settings) -> None:
    with TestClient(create_app(damaged), raise_server_exceptions=False) as client:
        asked = [
            client.get("/items/a"),
            client.get("/items"),
            client.post("/search", json={"text": "a dog"}),
            client.put("/items/a", json={"text": "a cat"}),
            client.delete("/items/a"),
            client.get("/readyz"),
        ]
        for answer in asked:
            assert answer.status_code == 503, answer.request.url
        assert "restore it from a backup" in asked[0].json()["detail"]
        assert client.get("/livez").status_code == 200
