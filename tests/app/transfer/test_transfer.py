import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item, Stream
from app.transfer.faiss_file import export_index, pq_index
from app.transfer.transfer import FORMATS, export_items, read_items
from model.encoder import Encoder, Vocabulary
from model.modality import Modality
from tests.app.transfer.cases import ANY_ITEM, SIZE, VOCABULARY, lines_of, make_item, plain

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"index{request.param}"


def read(path: Path, fingerprint: str = "aa") -> list[Item]:
    return list(read_items(path, vocabulary=VOCABULARY, fingerprint=fingerprint))


@given(items=st.lists(ANY_ITEM, max_size=4))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_was_exported_is_read_back_equal(path: Path, items: list[Item]) -> None:
    export_items(items, path, fingerprint="aa")
    assert [plain(own) for own in read(path)] == [plain(own) for own in items]


def test_half_a_character_in_metadata_survives(path: Path) -> None:
    """JSON can say it, though UTF-8 cannot."""
    item = Item("one", make_item().streams, {"\ud800": "\udfff"}, None, "0" * 64)
    export_items([item], path, fingerprint="aa")
    assert [plain(own) for own in read(path)] == [plain(item)]


def test_codes_of_another_checkpoint_are_refused_with_what_to_do(path: Path) -> None:
    export_items([make_item("a"), make_item("b")], path, fingerprint="bb")
    with pytest.raises(IndexMismatch, match=r"item 1: .*checkpoint bb, but aa.*--checkpoint"):
        read(path)


@pytest.mark.parametrize("code", [-1, SIZE])
def test_codes_that_the_vocabulary_does_not_have_are_refused(path: Path, code: int) -> None:
    codes = np.array([[0], [code]], np.int16)
    good, bad = make_item("a"), Item("b", {VIDEO: Stream(codes, None)}, {}, None, "0" * 64)
    export_items([good, bad], path, fingerprint="aa")
    with pytest.raises(InvalidRequest, match=r"item 2: "):
        read(path)


@pytest.mark.parametrize("rows", [1, 3])
def test_streams_of_another_number_of_rows_are_refused(path: Path, rows: int) -> None:
    stream = Stream(np.zeros((rows, 2), np.int16), None)
    export_items([Item("b", {VIDEO: stream}, {}, None, "0" * 64)], path, fingerprint="aa")
    with pytest.raises(InvalidRequest, match="its video does not have 2 rows"):
        read(path)


def test_a_file_is_there_whole_or_not_at_all(path: Path) -> None:
    def failing() -> Iterator[Item]:
        yield make_item("a")
        raise RuntimeError

    export_items([make_item("b")], path, fingerprint="aa")
    with pytest.raises(RuntimeError):
        export_items(failing(), path, fingerprint="aa")
    assert [item.id for item in read(path)] == ["b"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\n", b"[" * 100_000, b"PAR1"])
def test_another_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    if path.suffix == ".jsonl" and not content:
        assert read(path) == []
        return
    with pytest.raises(InvalidRequest, match=path.name):
        read(path)


def test_a_file_that_is_cut_short_is_refused(path: Path) -> None:
    export_items([make_item("a"), make_item("b")], path, fingerprint="aa")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidRequest):
        read(path)


def test_a_missing_file_a_missing_folder_and_another_ending_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"use \.jsonl, \.parquet or \.faiss"):
        export_items([], tmp_path / "index.csv", fingerprint="aa")
    for ending in FORMATS:
        with pytest.raises(InvalidRequest, match="No such file"):
            read(tmp_path / f"none{ending}")
        with pytest.raises(InvalidRequest, match="No such file"):
            export_items([], tmp_path / "none" / f"file{ending}", fingerprint="aa")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ".."),
        ("sha256", "no"),
        ("text", 3),
        ("metadata", [1]),
        ("duration_seconds", {}),
        ("duration_seconds", {"audio": -1}),
        ("sequence", "<audio><a1_001></audio>x"),
        ("colour", "red"),
    ],
)
def test_a_line_with_a_field_that_cannot_be_is_refused(
    tmp_path: Path, field: str, value: object
) -> None:
    path = tmp_path / "index.jsonl"
    export_items([make_item()], path, fingerprint="aa")
    line = json.loads(path.read_text()) | {field: value}
    lines_of(path, [json.dumps(line)])
    with pytest.raises(InvalidRequest, match=r"item 1: .*" + field):
        read(path)


def test_a_number_that_json_cannot_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.jsonl"
    export_items([make_item()], path, fingerprint="aa")
    path.write_text(path.read_text().replace('"farm"', "1e400"))
    with pytest.raises(InvalidRequest, match="metadata"):
        read(path)


def test_parquet_that_another_tool_has_written_anew_is_read(tmp_path: Path) -> None:
    """pandas and polars write wider texts and numbers, and the columns in another order."""
    path = tmp_path / "index.parquet"
    items = [make_item("a", AUDIO, TEXT), make_item("b", VIDEO)]
    export_items(items, path, fingerprint="aa")
    table = pq.read_table(path)
    wide = pa.large_list(pa.large_list(pa.int64()))
    for name in table.column_names:
        kind = wide if name.endswith("codes") else None
        kind = pa.large_string() if table.schema.field(name).type == pa.string() else kind
        if kind:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].cast(kind))
    pq.write_table(table.select(table.column_names[::-1]), path)
    assert [plain(own) for own in read(path)] == [plain(own) for own in items]


def test_parquet_without_a_column_or_with_ragged_codes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    export_items([make_item()], path, fingerprint="aa")
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["sha256"]), path)
    with pytest.raises(InvalidRequest, match="sha256"):
        read(path)
    ragged = pa.array([[[1, 2], [3]]], table.schema.field("audio_codes").type)
    pq.write_table(
        table.set_column(table.schema.get_field_index("audio_codes"), "audio_codes", ragged), path
    )
    with pytest.raises(InvalidRequest, match="differ in length"):
        read(path)


def export_for_faiss(items: list[Item], path: Path) -> None:
    encoder = SimpleNamespace(vocabulary=VOCABULARY, fingerprint="aa")
    export_index(items, path, fingerprint="aa", encoder=cast(Encoder, encoder))


@given(items=st.lists(ANY_ITEM, min_size=1, max_size=4, unique_by=lambda item: item.id))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_faiss_reads_is_read_back_equal(tmp_path: Path, items: list[Item]) -> None:
    """Streams of all lengths: shorter ones are padded in the index."""
    export_for_faiss(items, tmp_path / "all.faiss")
    faiss.write_index(faiss.read_index(str(tmp_path / "all.faiss")), str(tmp_path / "all.faiss"))
    assert [plain(own) for own in read(tmp_path / "all.faiss")] == [plain(own) for own in items]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({}, None),
        ({"fingerprint": "bb"}, "item 1: it was encoded with checkpoint bb"),
        ({"modality": "smell"}, "item 1: a line has no modality"),
        ({"sha256": "12"}, "item 1: sha256: "),
        ({"extra": 1}, "item 1: extra: "),
        ("no object", "not a JSON object"),
    ],
)
def test_a_line_that_was_changed_is_refused(
    tmp_path: Path, line: dict[str, object] | str, message: str | None
) -> None:
    export_for_faiss([make_item("a")], path := tmp_path / "all.faiss")
    lines = Path(f"{path}.jsonl")
    whole = json.loads(lines.read_text())
    lines.write_text(json.dumps(whole | line if isinstance(line, dict) else line))
    if message is None:
        assert [item.id for item in read(path)] == ["a"]
        return
    with pytest.raises((InvalidRequest, IndexMismatch), match=message):
        read(path)


def test_two_lines_of_one_item_must_agree(tmp_path: Path) -> None:
    export_for_faiss([make_item("a", AUDIO, VIDEO)], path := tmp_path / "all.faiss")
    lines = Path(f"{path}.jsonl")
    first, second = map(json.loads, lines.read_text().splitlines())
    for wrong in ({"text": "a dog"}, {"modality": "audio"}):
        lines.write_text(f"{json.dumps(first)}\n{json.dumps(second | wrong)}\n")
        with pytest.raises(InvalidRequest, match="item 1: its lines have the same modality, or"):
            read(path)


def test_what_is_no_index_of_these_codes_is_refused(tmp_path: Path) -> None:
    export_for_faiss([make_item("a")], path := tmp_path / "all.faiss")
    other = Vocabulary(np.ones((2, SIZE, 3), np.float32), np.array([1, 2]))
    for index in (pq_index(other, [np.zeros((2, 3), np.int16)]), faiss.IndexFlatIP(4)):
        faiss.write_index(index, str(path))
        with pytest.raises(InvalidRequest, match="not an index of this checkpoint's codes"):
            read(path)
    path.write_bytes(b"no index")
    with pytest.raises(InvalidRequest, match=r"all\.faiss: it is not a FAISS index"):
        read(path)
    Path(f"{path}.jsonl").unlink()
    with pytest.raises(InvalidRequest, match="cannot read"):
        read(path)
