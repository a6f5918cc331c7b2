"""GET /items/{id}/media and /thumbnail: kept where that is switched on, erased with the item."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.errors import StoreUnavailable
from app.main import create_app
from app.settings import Settings
from tests.app.indexing.opened import opened_index


@pytest.fixture
def keeping(settings: Settings) -> Settings:
    return settings.model_copy(update={"keep_media": True})


@pytest.fixture
def client(keeping: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(keeping), raise_server_exceptions=False) as opened:
        yield opened


def kept(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "media").rglob("*") if path.is_file()]


def test_media_come_back_as_they_were_sent(client: TestClient, clip: bytes) -> None:
    added = client.post("/items", files={"file": clip}, data={"id": "a"}).json()
    assert (added["has_media"], added["has_thumbnail"]) == (True, True)
    answer = client.get("/items/a/media")
    assert answer.content == clip
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    hit = client.post("/search", json={"item": "a"}).json()["hits"][0]
    assert (hit["has_media"], hit["has_thumbnail"]) == (True, True)


def test_a_part_of_the_media_can_be_asked_for(client: TestClient, clip: bytes) -> None:
    client.post("/items", files={"file": clip}, data={"id": "a"})
    part = client.get("/items/a/media", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, clip[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(clip)}"
    end = client.get("/items/a/media", headers={"Range": "bytes=-5"})
    assert end.content == clip[-5:]
    beyond = client.get("/items/a/media", headers={"Range": f"bytes={len(clip)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(clip)}"
    assert beyond.json()["type"] == "urn:srcid:range-not-satisfiable"
    assert f"has {len(clip)} bytes" in beyond.json()["detail"]
    odd = client.get("/items/a/media", headers={"Range": "bytes=x-y"})
    assert odd.status_code == 400
    assert odd.headers["content-type"] == "application/problem+json"
    assert "'bytes=x-y'" in odd.json()["detail"]


@pytest.mark.parametrize("unit", ["items=0-1", "seconds=1-2", "items"])
def test_a_range_in_an_unknown_unit_is_ignored(
    client: TestClient, picture: bytes, unit: str
) -> None:
    client.post("/items", files={"file": picture}, data={"id": "a"})
    whole = client.get("/items/a/media", headers={"Range": unit})
    assert (whole.status_code, whole.content) == (200, picture)
    part = client.get("/items/a/media", headers={"Range": "Bytes=0-1"})  # units have no case
    assert (part.status_code, part.content) == (206, picture[:2])


@pytest.mark.parametrize("file", ["media", "thumbnail"])
def test_what_the_client_has_is_not_sent_again(
    client: TestClient, picture: bytes, sound: bytes, file: str
) -> None:
    client.post("/items", files={"file": picture}, data={"id": "a"})
    path = f"/items/a/{file}"
    first = client.get(path)
    tag, changed = first.headers["etag"], first.headers["last-modified"]
    for condition in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"other", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": changed},
        {"If-None-Match": tag, "Range": "bytes=0-1"},
    ):
        again = client.get(path, headers=condition)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    for condition in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": changed},  # the tag counts
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ):
        again = client.get(path, headers=condition)
        assert (again.status_code, again.content) == (200, first.content)


def test_the_head_of_media_tells_their_size(client: TestClient, clip: bytes) -> None:
    client.post("/items", files={"file": clip}, data={"id": "a"})
    head = client.head("/items/a/media", headers={"Range": "bytes=0-1"})  # Range is of GET only
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == client.get("/items/a/media").headers | {
        "x-request-id": head.headers["x-request-id"]
    }
    assert head.headers["content-length"] == str(len(clip))


def test_a_thumbnail_is_a_small_jpeg_of_the_first_second(client: TestClient, clip: bytes) -> None:
    client.post("/items", files={"file": clip}, data={"id": "a"})
    answer = client.get("/items/a/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    picture = Image.open(io.BytesIO(answer.content))
    assert min(picture.size) == 240
    pixel = picture.getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 20) < 8  # the grey of the first second


def test_a_sound_has_no_thumbnail_and_a_sentence_no_media(client: TestClient, sound: bytes) -> None:
    added = client.post("/items", files={"file": sound}, data={"id": "a"}).json()
    assert (added["has_media"], added["has_thumbnail"]) == (True, False)
    assert client.get("/items/a/media").headers["content-type"] == "audio/wav"
    client.post("/items", json={"id": "s", "text": "a dog"})
    for path in ("/items/a/thumbnail", "/items/s/media", "/items/ghost/media"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:srcid:not-found"


def test_what_is_deleted_or_replaced_leaves_no_file(
    client: TestClient, keeping: Settings, clip: bytes, sound: bytes
) -> None:
    client.post("/items", files={"file": clip}, data={"id": "a"})
    assert len(kept(keeping)) == 2
    client.put("/items/a", files={"file": sound})
    assert [path.read_bytes() for path in kept(keeping)] == [sound]
    client.put("/items/a", files={"file": sound})  # the same again
    assert client.get("/items/a/media").content == sound
    client.put("/items/a", json={"text": "a dog"})
    assert kept(keeping) == []
    client.put("/items/a", files={"file": clip})
    client.patch("/items/a", json={"metadata": {"b": 1}})
    assert client.get("/items/a/media").content == clip
    client.put("/items/c", files={"file": sound}, data={"metadata": '{"b": 2}'})
    client.delete("/items", params={"where": '{"b": 1}'})
    assert [path.read_bytes() for path in kept(keeping)] == [sound]
    client.delete("/items/c")
    assert kept(keeping) == []


def test_nothing_is_kept_of_what_is_refused(
    client: TestClient, keeping: Settings, clip: bytes
) -> None:
    client.post("/items", json={"id": "a", "text": "a dog"})
    assert client.post("/items", files={"file": clip}, data={"id": "a"}).status_code == 409
    assert client.post("/items", files={"file": b"x"}, data={"id": "b"}).status_code == 422
    assert kept(keeping) == []


def test_an_item_that_is_not_committed_leaves_no_file(
    keeping: Settings, clip: bytes, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_index(keeping) as index:
        index.service.add("a", clip)
        before = {path: path.read_bytes() for path in kept(keeping)}

        def full(*args: object, **kwargs: object) -> None:
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(index.store, "add_many", full)
        for source in (sound, clip):
            with pytest.raises(StoreUnavailable):
                index.service.put("a", source)
        assert {path: path.read_bytes() for path in kept(keeping)} == before


def test_what_a_crash_left_is_swept_at_the_next_start(keeping: Settings, clip: bytes) -> None:
    with TestClient(create_app(keeping)) as client:
        client.post("/items", files={"file": clip}, data={"id": "a"})
    orphan = kept(keeping)[0].with_name("f" * 64 + ".media")
    orphan.write_bytes(b"of an item that was not committed")
    os.utime(orphan, (1, 1))
    with TestClient(create_app(keeping)) as client:
        assert client.get("/items/a/media").content == clip
    assert not orphan.exists()  # swept beside the first requests, at the latest when it ends


def test_by_default_nothing_is_kept(settings: Settings, clip: bytes) -> None:
    with TestClient(create_app(settings)) as client:
        added = client.post("/items", files={"file": clip}, data={"id": "a"}).json()
        assert (added["has_media"], added["has_thumbnail"]) == (False, False)
        answer = client.get("/items/a/media")
        assert answer.status_code == 404
        assert "SRCID_KEEP_MEDIA" in answer.json()["detail"]
    assert kept(settings) == []
