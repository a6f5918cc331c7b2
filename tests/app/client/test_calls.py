"""Every call of both clients, over a socket, on the real service."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.auth.keys import KeyFile, Scope
from app.client import AsyncClient, Client, Unreachable
from app.errors import (
    Forbidden,
    InvalidMedia,
    InvalidRequest,
    ItemExists,
    NotFound,
    TooLarge,
    Unauthorized,
)
from app.schemas.sources import ItemReference
from app.settings import Settings
from model.errors import ConfigError
from model.modality import Modality
from tests.app.client.conftest import IMPATIENT, listening


def test_neither_torch_nor_the_web_framework_is_loaded() -> None:
    heavy = ("torch", "fastapi", "starlette", "faiss", "numpy", "transformers", "numba")
    script = f"import sys, app.client; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_media_are_the_same_from_a_file_or_as_bytes(
    service: Client, clip: bytes, clip_file: Path
) -> None:
    from_file = service.encode(clip_file)
    assert from_file == service.encode(clip)
    assert from_file.streams.keys() == {Modality.AUDIO, Modality.VIDEO}
    only = service.encode(clip_file, modality="audio", floats=True)
    assert only.streams.keys() == {Modality.AUDIO}
    assert only.streams[Modality.AUDIO].vectors is not None


def test_a_path_as_text_is_not_taken_for_a_sentence(
    service: Client, clip_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(clip_file)
    calls: list[Callable[[], object]] = [
        lambda: service.add("x.mp4", path),
        lambda: service.put("x.mp4", path),
        lambda: service.encode(path),
        lambda: service.encode_batch(["a dog", path]),
        lambda: service.search(path),
        lambda: service.compare("a dog", path),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"names a file, .* pathlib\.Path\("):
            call()
    assert list(service.items()) == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog").write_text("a bare word is no path")
    for sentence in ("dog", "no/such.file", "a" * 999 + ".wav", "nul\0.wav", "A dog. Barks."):
        assert service.encode(sentence).streams.keys() == {"text"}


def test_a_batch_has_an_answer_or_a_problem_for_each(
    service: Client, clip: bytes, clip_file: Path
) -> None:
    batch = service.encode_batch(["a dog", clip_file, b"no media", clip])
    assert [own.status for own in batch.results] == [200, 200, 422, 200]
    assert batch.results[1].answer == service.encode(clip)


def test_items_are_added_replaced_listed_and_removed(
    service: Client, clip_file: Path, picture: bytes
) -> None:
    ids = ["a clip", "ü%2F:?#&+", "z"]
    added = service.add(ids[0], clip_file, metadata={"album": "farm", "year": 1999})
    assert service.get(ids[0]) == added
    service.add(ids[1], "a dog barks")
    service.put(ids[2], "rain")
    put = service.put(ids[2], picture, metadata={"x": [1, None]})
    assert (put.text, put.metadata) == (None, {"x": [1, None]})
    assert [item.id for item in service.items()] == sorted(ids)
    service.delete(ids[1])
    assert [item.id for item in service.items()] == ["a clip", "z"]
    with pytest.raises(NotFound, match="no item"):
        service.delete(ids[1])


def test_every_page_is_fetched(service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.client.core.MAX_PAGE", 2)
    ids = [f"item{n}" for n in range(5)]
    for item_id in ids:
        service.add(item_id, "a dog")
    assert [item.id for item in service.items()] == ids


def test_items_are_paged_both_ways_filtered_changed_and_removed_together(
    service: Client,
) -> None:
    for n in range(5):
        service.add(f"{n}", "a dog", metadata={"n": n, "tags": ["odd" if n % 2 else "even"]})
    even = {"tags": "even", "not": [{"n": {"gt": 9}}]}
    first = service.page(limit=2, where=even)
    assert ([item.id for item in first.items], first.previous_cursor) == (["0", "2"], None)
    last = service.page(after=first.next_cursor, limit=2, where=even)
    assert ([item.id for item in last.items], last.next_cursor) == (["4"], None)
    assert service.page(before=last.previous_cursor, limit=2, where=even) == first
    assert service.page(before="2").items[-1].id == "1"
    changed = service.update("4", {"tags": None, "new": {"a": 1}})
    assert changed.metadata == service.get("4").metadata == {"n": 4, "new": {"a": 1}}
    assert [item.id for item in service.items(where=even)] == ["0", "2"]
    assert service.delete_where(even).deleted == 2
    assert [item.id for item in service.items()] == ["1", "3", "4"]
    with pytest.raises(InvalidRequest, match=r"^where\.n\.range is {}: "):
        service.delete_where({"n": {}})
    with pytest.raises(NotFound):
        service.update("0", {})


def test_a_search_takes_sentences_media_items_and_every_option(
    service: Client, clip_file: Path, clip: bytes
) -> None:
    service.add("clip", clip_file, metadata={"album": "farm", "year": 1999})
    service.add("sentence", "a dog barks", metadata={"album": "town"})
    assert {hit.id for hit in service.search("a dog").hits} == {"clip", "sentence"}
    options: dict[str, object] = {
        "targets": ["audio", "video"],
        "k": 1,
        "layers": "1",
        "score": "max",
        "where": {"album": "farm", "year": {"gte": 1990}},
        "threshold": -1.0,
        "curves": True,
        "plus": ["rain", {"item": "sentence", "weight": 0.5}],
        "minus": ["a cat"],
    }
    for source in (clip_file, clip, "a dog", ItemReference("clip")):
        (hit,) = service.search(source, **options).hits
        assert hit.id == "clip"
        assert hit.curve is not None
    assert service.search(clip_file, targets=["text"], where={"album": "farm"}).hits == []
    best = service.search(clip_file, modality="audio", targets=["audio"]).hits[0]
    assert best.score == pytest.approx(1, abs=1e-5)


def test_codes_are_looked_up_compared_and_found(service: Client, clip_file: Path) -> None:
    item = service.add("clip", clip_file)
    service.add("again", clip_file)
    codes = item.streams[Modality.VIDEO].codes
    places = service.search_codes([codes[0][:2]], row=0, targets=["video"]).places
    assert ("again", "video", 0) in [(own.id, own.modality, own.second) for own in places]
    assert service.code(1, codes[0][0]).counts[Modality.VIDEO] >= 2
    (map_,) = service.compare("a dog barks", "a dog barks").maps
    assert np.allclose(np.diag(map_.cosines), 1, atol=1e-5)
    assert service.compare(ItemReference("clip"), clip_file, layers="2").maps
    same = {(own.id, own.modality) for own in service.duplicates("clip").duplicates}
    assert same == {("again", "audio"), ("again", "video")}


def test_sentences_become_vectors(service: Client) -> None:
    answer = service.embed(["a dog", "rain"])
    assert [own.index for own in answer.data] == [0, 1]
    assert np.linalg.norm(answer.data[0].embedding) == pytest.approx(1, abs=1e-4)


def test_what_was_kept_is_downloaded(
    client_class: type[Client], settings: Settings, clip: bytes, tmp_path: Path
) -> None:
    with (
        listening(settings.model_copy(update={"keep_media": True})) as url,
        client_class(url, retry=IMPATIENT) as client,
    ):
        client.add("clip", clip)
        client.download("clip", tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").read_bytes() == clip
        assert client.thumbnail("clip").startswith(b"\xff\xd8\xff")
        with pytest.raises(NotFound):
            client.download("nothing", tmp_path / "none")
        assert not (tmp_path / "none").exists()


def test_a_job_indexes_a_folder_and_is_followed_to_its_end(
    client_class: type[Client], settings: Settings, clip: bytes, tmp_path: Path
) -> None:
    (tmp_path / "media" / "farm").mkdir(parents=True)
    (tmp_path / "media" / "farm" / "clip.mp4").write_bytes(clip)
    with (
        listening(settings.model_copy(update={"media_root": tmp_path / "media"})) as url,
        client_class(url, retry=IMPATIENT) as client,
    ):
        begun = client.start_job("farm", metadata={"album": "farm"})
        *_, last = client.watch_job(begun.id)
        assert (last.id, last.state) == (begun.id, "finished")
        assert client.job(begun.id) == last
        assert client.jobs() == [last]
        (item,) = client.items()
        assert (item.id, item.metadata["album"]) == ("farm/clip.mp4", "farm")


def test_the_model_is_described_and_the_service_is_ready(
    service: Client, settings: Settings
) -> None:
    assert service.model().checkpoint == settings.checkpoint
    assert service.is_ready()


def test_errors_are_those_of_the_service_with_its_words(
    service: Client, clip: bytes, tmp_path: Path
) -> None:
    service.add("a", "a dog")
    with pytest.raises(ItemExists, match="PUT /items/a") as exists:
        service.add("a", "another dog")
    assert exists.value.__notes__[0].startswith("request ")
    with pytest.raises(InvalidMedia, match="decod"):
        service.encode(b"no media")
    with pytest.raises(InvalidRequest, match="k is 0"):
        service.search("a dog", k=0)
    with pytest.raises(TooLarge, match="SRCID_MAX_UPLOAD_BYTES"):
        service.encode(b"x" * 2_000_000)
    with pytest.raises(NotFound, match="'nothing'"):
        service.get("nothing")
    with pytest.raises(FileNotFoundError):
        service.encode(tmp_path / "nothing.mp4")


def test_a_key_goes_along(client_class: type[Client], settings: Settings) -> None:
    key = KeyFile(settings.data_dir).add("web", Scope.READ)
    with listening(settings) as url:
        with client_class(url, key=key) as client:
            assert client.search("a dog").hits == []
            with pytest.raises(Forbidden, match="needs write"):
                client.add("a", "a dog")
        with client_class(url) as client, pytest.raises(Unauthorized, match="API key"):
            client.search("a dog")


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_an_address_or_key_that_cannot_be_is_told_at_once(client_class: type) -> None:
    for url in ("", "localhost", "ftp://a", "http://"):
        with pytest.raises(ConfigError, match="SRCID_URL"):
            client_class(url)
    for key in ("a b", "a\n", "ä"):
        with pytest.raises(ConfigError, match="SRCID_API_KEY"):
            client_class(key=key)


def test_a_service_that_is_not_there_is_told(
    client_class: type[Client], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        client_class("http://127.0.0.1:9", retry=IMPATIENT) as client,
        pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/ does not answer"),
    ):
        client.model()
    said = [record.getMessage() for record in caplog.records if record.name == "app.client.retry"]
    assert len(said) == IMPATIENT.retries > 0
    assert said[0].startswith("http://127.0.0.1:9/ does not answer: retrying in ")
