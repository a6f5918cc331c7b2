"""/items: POST, PUT, PATCH, GET, DELETE."""

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


def add_numbered(client: TestClient, count: int) -> None:
    for n in range(count):
        body = {"id": f"{n}", "text": "a dog", "metadata": {"even": n % 2 == 0, "n": n}}
        assert client.post("/items", json=body).status_code == 201


def listed(client: TestClient, **params: object) -> tuple[str, str | None, str | None]:
    page = client.get("/items", params=params).json()
    ids = "".join(item["id"] for item in page["items"])
    return ids, page["previous_cursor"], page["next_cursor"]


def test_pages_lead_to_their_neighbours(client: TestClient) -> None:
    add_numbered(client, 8)
    assert listed(client, limit=3) == ("012", None, "2")
    assert listed(client, limit=3, cursor="2") == ("345", "3", "5")
    assert listed(client, limit=3, cursor="5") == ("67", "6", None)
    assert listed(client, limit=3, before="6") == ("345", "3", "5")
    assert listed(client, limit=3, before="3") == ("012", None, "2")
    assert listed(client, limit=3, before="2") == ("01", None, "1")
    assert listed(client, limit=3, cursor="7") == ("", None, None)


def test_a_filter_lists_and_deletes_what_it_matches(client: TestClient) -> None:
    add_numbered(client, 8)
    where = json.dumps({"even": True, "not": [{"n": 4}]})
    assert listed(client, limit=2, where=where) == ("02", None, "2")
    assert listed(client, limit=2, where=where, cursor="2") == ("6", "6", None)
    assert listed(client, limit=2, where=where, before="6") == ("02", None, "2")
    deleted = client.delete("/items", params={"where": where})
    assert (deleted.status_code, deleted.json()) == (200, {"deleted": 3})
    assert listed(client) == ("13457", None, None)
    assert client.delete("/items", params={"where": where}).json() == {"deleted": 0}
    assert client.delete("/items", params={"where": "{}"}).json() == {"deleted": 5}
    assert client.get("/items").json()["items"] == []


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "where is not JSON"),
        ("{", "where is not JSON"),
        ("[]", "where is []: "),
        ('{"a": [1]}', "where is {'a': [1]}: the condition on 'a' is a list"),
        ('{"a": {"near": 3}}', "where.a.range.near: Extra inputs"),
        ('{"a": NaN}', "where is not JSON"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_no_filter_lists_and_deletes_nothing(
    client: TestClient, method: str, where: str, message: str
) -> None:
    add_numbered(client, 1)
    refused = client.request(method, "/items", params={"where": where})
    assert (refused.status_code, message in refused.json()["detail"]) == (422, True)
    missing = client.delete("/items")
    assert (missing.status_code, missing.json()["detail"]) == (422, "where: Field required")
    assert listed(client) == ("0", None, None)


def test_metadata_change_without_the_media(client: TestClient, clip: bytes) -> None:
    before = {"album": "farm", "draft": True, "place": {"city": "Rome", "zip": 1}, "tags": [1, 2]}
    added = client.post(
        "/items", files={"file": clip}, data={"id": "a", "metadata": json.dumps(before)}
    ).json()
    changes = {"album": "town", "draft": None, "no": None, "place": {"zip": None}, "tags": [3]}
    changed = client.patch("/items/a", json={"metadata": changes})
    assert changed.status_code == 200
    after = {"album": "town", "place": {"city": "Rome"}, "tags": [3]}
    assert changed.json() == client.get("/items/a").json() == added | {"metadata": after}
    for where, count in [({"album": "farm"}, 0), ({"album": "town"}, 2)]:
        hits = client.post("/search", json={"item": "a", "where": where}).json()["hits"]
        assert [hit["metadata"] for hit in hits] == count * [after]


# Of RFC 7396, appendix A; the examples whose target or patch is no object cannot be sent.
MERGES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("before", "changes", "after"), MERGES)
def test_changes_are_a_merge_patch(
    client: TestClient, before: object, changes: object, after: object
) -> None:
    client.post("/items", json={"id": "a", "text": "a dog", "metadata": before})
    assert client.patch("/items/a", json={"metadata": changes}).json()["metadata"] == after


def test_metadata_that_cannot_be_kept_change_nothing(settings: Settings) -> None:
    limited = settings.model_copy(update={"max_metadata_bytes": 30})
    with TestClient(create_app(limited)) as client:
        client.post("/items", json={"id": "a", "text": "a dog", "metadata": {"x": "1234567890"}})
        assert client.patch("/items/b", json={"metadata": {}}).status_code == 404
        assert client.patch("/items/a", json={}).status_code == 422
        assert client.patch("/items/a", json={"metadata": {}, "text": "b"}).status_code == 422
        too_large = client.patch("/items/a", json={"metadata": {"y": "1234567890"}})
        assert (too_large.status_code, "has 38 bytes" in too_large.json()["detail"]) == (413, True)
        assert client.get("/items/a").json()["metadata"] == {"x": "1234567890"}


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
