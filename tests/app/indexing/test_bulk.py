"""Long media in parts: the codes of the whole, found by the seconds of the whole."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidRequest, StoreUnavailable
from app.indexing.bulk import further_passages
from app.indexing.run import FileToIndex, Outcome, files_below, index_files
from app.schemas.filters import Where
from app.settings import Settings
from tests.app.indexing.opened import Opened, opened_index
from tests.media_maker import make_sound, tone

SECONDS, STRETCH, T = 47, 20, 10  # of the film, of what is decoded at once, of the network


@pytest.fixture
def index(settings: Settings) -> Iterator[Opened]:
    update = {"max_steps": STRETCH, "keep_media": True}
    with opened_index(settings.model_copy(update=update)) as opened:
        yield opened


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    pieces = [tone(1, 16_000, 200 + 37 * second) for second in range(SECONDS)]
    (folder / "film.wav").write_bytes(make_sound(np.concatenate(pieces), 16_000))
    return folder / "film.wav"


def run(index: Opened, folder: Path) -> list[Outcome]:
    stop = threading.Event()
    return list(index_files(index.bulk, files_below(folder), workers=2, stop=stop))


def ids(index: Opened) -> list[str]:
    return [item.id for item in index.store.page(after="", limit=100)]


def test_the_parts_have_the_codes_of_the_whole(
    index: Opened, settings: Settings, film: Path
) -> None:
    (outcome,) = run(index, film.parent)
    assert (outcome.kind, outcome.seconds) == ("indexed", SECONDS)
    assert ids(index) == ["film.wav", *(f"film.wav@000{start}" for start in (10, 20, 30, 40))]
    update = {"max_steps": 60, "data_dir": settings.data_dir / "other"}
    with opened_index(settings.model_copy(update=update)) as whole:
        expected = whole.engine.encode(film).codes["audio"]
    items = index.store.page(after="", limit=100)
    found = np.concatenate([item.streams["audio"].codes for item in items], 1)
    assert np.array_equal(found, expected)
    assert [item.streams["audio"].duration_seconds for item in items] == [10, 10, 10, 10, 7]


def test_metadata_change_and_go_with_the_whole(index: Opened, film: Path) -> None:
    run(index, film.parent)
    media = index.items.media_file("film.wav")
    index.items.update("film.wav", {"album": "farm"})
    items = index.store.page(limit=100)
    assert [item.metadata["album"] for item in items] == 5 * ["farm"]
    assert [item.metadata["start_second"] for item in items[1:]] == [10, 20, 30, 40]
    index.items.update("film.wav@00020", {"album": "town"})
    farm = Where.model_validate({"album": "farm"})
    assert [item.id[-2:] for item in index.store.items(where=farm)] == ["av", "10", "30", "40"]
    for part in ({"part_of": "b"}, {"start_second": None}):
        for item_id in ("film.wav", "film.wav@00020"):
            with pytest.raises(InvalidRequest, match=r"is a segment of 'film\.wav'"):
                index.items.update(item_id, part)
    assert index.store.page(limit=100)[2].metadata["part_of"] == "film.wav"
    assert index.items.media_file("film.wav@00020") == media
    assert index.items.delete_where(Where.model_validate({"album": "town"})) == 1
    assert len(ids(index)) == 4
    assert media.exists()
    assert index.items.delete_where(Where.model_validate({"start_second": 0})) == 4
    assert ids(index) == []
    assert not media.exists()


@pytest.mark.parametrize(("max_steps", "piece"), [(60, 10), (20, 10), (60, 7), (5, 10), (60, 45)])
def test_stretches_cover_the_rest_once_and_begin_where_a_piece_would(
    max_steps: int, piece: int
) -> None:
    path, end = Path("film.mp4"), 313
    stretches = further_passages(path, 312.4, max_steps, piece=piece)
    seconds = [own.start_second + second for own in stretches for second in range(own.num_seconds)]
    assert seconds[: end - max_steps] == list(range(max_steps, end))
    assert len(seconds) - (end - max_steps) < stretches[-1].num_seconds
    for own in stretches:
        assert own.path == path
        assert own.num_seconds <= max_steps
        is_whole = (own.start_second - max_steps) % piece == 0
        assert is_whole or max_steps < piece


@pytest.mark.parametrize("seconds", [None, 0.2, 60.0, 60.04])
def test_what_fits_into_the_first_stretch_has_no_other(seconds: float | None) -> None:
    assert further_passages(Path("clip.mp4"), seconds, 60, piece=10) == []


def test_hits_tell_the_second_of_the_whole(index: Opened, film: Path) -> None:
    run(index, film.parent)
    for second in (3, 25, 46):
        start = second // T * T
        item_id = "film.wav" if not start else f"film.wav@{start:05}"
        codes = index.store.get(item_id).streams["audio"].codes[:, second % T]
        pattern = [[int(code)] for code in codes]
        places = index.service.search_codes(pattern).places
        assert (item_id, second) in [(place.id, place.second) for place in places]
    hits = index.service.search(film, score="max", k=50).hits
    for hit in hits:
        start = hit.metadata["start_second"]
        assert isinstance(start, int)
        assert hit.best_second is not None
        assert start <= hit.best_second < start + T
        assert hit.metadata["part_of"] == "film.wav"


def test_media_are_kept_once_and_had_by_all_parts(index: Opened, film: Path) -> None:
    run(index, film.parent)
    files = {index.items.media_file(item_id) for item_id in ids(index)}
    assert len(files) == 1
    assert files.pop().read_bytes() == film.read_bytes()


def test_an_unchanged_film_is_passed_over_and_a_shorter_one_leaves_nothing_behind(
    index: Opened, film: Path
) -> None:
    run(index, film.parent)
    assert [outcome.kind for outcome in run(index, film.parent)] == ["unchanged"]
    film.write_bytes(make_sound(tone(32, 16_000), 16_000))
    assert [outcome.kind for outcome in run(index, film.parent)] == ["indexed"]
    assert ids(index) == ["film.wav", *(f"film.wav@000{start}" for start in (10, 20, 30))]
    film.write_bytes(make_sound(tone(3, 16_000), 16_000))
    run(index, film.parent)
    assert ids(index) == ["film.wav"]
    assert "part_of" not in index.service.get("film.wav").metadata


def test_deleting_the_whole_deletes_its_parts_and_no_other_item(
    index: Opened, film: Path, sound: bytes
) -> None:
    (film.parent / "film.wav@00020.wav").write_bytes(sound)  # as if it were a part
    run(index, film.parent)
    index.service.delete("film.wav")
    assert ids(index) == ["film.wav@00020.wav"]


def test_what_does_not_decode_in_the_middle_is_said(index: Opened, film: Path) -> None:
    data = bytearray(make_sound(tone(SECONDS, 16_000), 16_000, "mp4"))
    start, end = len(data) * 21 // SECONDS, len(data) * 41 // SECONDS
    data[start:end] = bytes(end - start)
    film.write_bytes(data)
    (outcome,) = run(index, film.parent)
    assert (outcome.kind, outcome.detail) == (
        "indexed",
        "without seconds 20 to 40, which do not decode",
    )
    assert ids(index) == ["film.wav", "film.wav@00010", "film.wav@00040"]


def test_a_film_that_is_stopped_is_not_kept_in_part(index: Opened, film: Path) -> None:
    stop = threading.Event()
    file = FileToIndex(film, "film.wav", "film.wav", {})
    submit = index.engine.submit

    def stopping(*args: object) -> object:
        stop.set()
        return submit(*args)

    index.engine.submit = stopping
    assert list(index_files(index.bulk, [file], workers=1, stop=stop)) == []
    assert ids(index) == []


def test_a_film_whose_replacement_is_not_committed_keeps_all_its_parts(
    index: Opened, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(index, film.parent)
    before = ids(index)
    film.write_bytes(make_sound(tone(3, 16_000), 16_000))

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(index.store, "add_many", full)
        assert [outcome.kind for outcome in run(index, film.parent)] == ["failed"]
    assert ids(index) == before


def test_the_parts_of_a_long_id_have_ids_that_fit(index: Opened, film: Path) -> None:
    film = film.rename(film.with_name("f" * 251 + ".wav"))
    (outcome,) = run(index, film.parent)
    assert outcome.kind == "indexed"
    whole, *parts = ids(index)
    assert whole == film.name
    assert [len(part) for part in parts] == [255] * 4
    assert {part[-6:] for part in parts} == {"@00010", "@00020", "@00030", "@00040"}
    index.service.delete(whole)
    assert ids(index) == []
