"""/items: POST, PUT, GET, DELETE."""

import hashlib
import json
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings


def test_a_clip_is_kept_with_its_metadata(client: TestClient, clip: bytes) -> None:
    added = client.post(
        "/items",
        files={"file": clip},
        data={"id": "my-clip", "metadata": json.dumps({"album": "farm", "year": 2024})},
    )
    assert added.status_code == 201
    assert added.headers["location"] == "/items/my-clip"
    body = added.json()
    assert body["id"] == "my-clip"
    assert body["metadata"] == {"album": "farm", "year": 2024}
    assert body["sha256"] == hashlib.sha256(clip).hexdigest()
    assert body["text"] is None
    encoded = client.post("/encode", files={"file": clip}).json()
    assert body["streams"] == encoded["streams"]
    assert body["code_layers"] == encoded["code_layers"]
    assert body["duration_seconds"] == encoded["duration_seconds"]
    assert client.get("/items/my-clip").json() == body


def test_a_sentence_is_kept_with_its_words(client: TestClient) -> None:
    added = client.post("/items", json={"id": "s", "text": "a dog barks", "metadata": {"n": 1}})
    assert added.status_code == 201
    item = client.get("/items/s").json()
    assert item["text"] == "a dog barks"
    assert item["streams"].keys() == {"text"}
    assert item["metadata"] == {"n": 1}


def test_an_id_that_exists_is_a_conflict_and_put_replaces(
    client: TestClient, sound: bytes, picture: bytes
) -> None:
    client.post("/items", files={"file": sound}, data={"id": "a"})
    refused = client.post("/items", files={"file": picture}, data={"id": "a"})
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:srcid:item-exists"
    assert "PUT /items/a" in refused.json()["detail"]
    assert client.get("/items/a").json()["streams"].keys() == {"audio"}

    replaced = client.put("/items/a", files={"file": picture}, data={"metadata": '{"b": 1}'})
    assert replaced.status_code == 200
    assert client.get("/items/a").json() == replaced.json()
    assert replaced.json()["streams"].keys() == {"video"}
    assert replaced.json()["metadata"] == {"b": 1}


def test_put_makes_what_is_not_there(client: TestClient) -> None:
    assert client.put("/items/new", json={"text": "a cat"}).status_code == 200
    assert client.get("/items/new").status_code == 200


def test_a_deleted_item_is_gone(client: TestClient) -> None:
    client.post("/items", json={"id": "s", "text": "a dog"})
    gone = client.delete("/items/s")
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get("/items/s").status_code == 404
    assert client.delete("/items/s").status_code == 404
    assert client.post("/search", json={"text": "a dog"}).json()["hits"] == []


def test_all_items_are_listed_page_by_page(client: TestClient) -> None:
    for name in "dbca":
        client.post("/items", json={"id": name, "text": name})
    first = client.get("/items", params={"limit": 3}).json()
    assert [item["id"] for item in first["items"]] == ["a", "b", "c"]
    second = client.get("/items", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in second["items"]] == ["d"]
    assert second["next_cursor"] is None
    assert client.get("/items", params={"limit": 4}).json()["next_cursor"] is None


@pytest.mark.parametrize("item_id", ["ü 1.mp4", "100%", "a:b", "what?", "#1", "x" * 255, "犬"])
def test_ids_are_any_printable_text_without_slashes(client: TestClient, item_id: str) -> None:
    added = client.post("/items", json={"id": item_id, "text": "a dog"})
    assert added.status_code == 201
    assert client.get(added.headers["location"]).json()["id"] == item_id


def test_items_survive_a_restart(settings: Settings, sound: bytes) -> None:
    with TestClient(create_app(settings)) as client:
        client.post("/items", files={"file": sound}, data={"id": "a"})
        item = client.get("/items/a").json()
    with TestClient(create_app(settings)) as client:
        assert client.get("/items/a").json() == item
        assert client.get("/model").json()["num_items"] == 1


IDS = [
    "a/b/c.mp4",
    "/data/a b.mp4",
    "s3://bucket/key=1/ü.wav",
    "https://example.org/v?id=1&t=2#top",
    "a/media",
    "media",
    "a%2Fb",
    "%25",
    "a+b",
    " spaces ",
    "tab\tand\nline",
    "back\\slash",
    "../up",
    "a/../b",
    "//",
    "x" * 255,
]


@pytest.mark.parametrize("item_id", IDS)
def test_an_id_may_be_any_text(client: TestClient, item_id: str) -> None:
    address = f"/items/{quote(item_id, safe='')}"
    added = client.post("/items", json={"id": item_id, "text": "a dog barks"})
    assert added.status_code == 201
    assert added.headers["location"] == address
    assert client.get(address).json()["id"] == item_id
    assert client.head(address).status_code == 200
    assert client.get(f"{address}/duplicates").json()["id"] == item_id
    assert client.get(f"{address}/media").status_code == 404
    again = client.post("/items", json={"id": item_id, "text": "a dog barks"})
    assert (again.status_code, f"PUT {address}" in again.json()["detail"]) == (409, True)
    replaced = client.put(address, json={"text": "a cat"})
    assert (replaced.json()["id"], replaced.json()["text"]) == (item_id, "a cat")
    assert [hit["id"] for hit in client.post("/search", json={"item": item_id}).json()["hits"]] == [
        item_id
    ]
    assert client.delete(address).status_code == 204
    assert client.get("/items").json()["items"] == []


def test_an_encoded_id_is_found_behind_a_prefix(settings: Settings) -> None:
    with TestClient(create_app(settings), root_path="/srcid") as client:
        client.post("/srcid/items", json={"id": "a/b", "text": "a dog barks"})
        assert client.get("/srcid/items/a%2Fb").json()["id"] == "a/b"
        assert client.get("/items/a%2Fb").json()["id"] == "a/b"
        assert client.get("/srcid/items/a/b").status_code == 404
        assert client.get("/items%2Fa").status_code == 404
