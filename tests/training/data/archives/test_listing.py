"""Tables and lists of classes, and what is said of a line that is not as it should be."""

from pathlib import Path

import pytest

from model.errors import DataError
from training.data.archives.listing import class_index, read_names, read_table


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_go_by_their_names(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", 'split,id,label\ntrain,x,"a, b"\n\ntest,y,c d\n')
    rows = read_table(table, ("id", "label"))
    assert [(row.values["id"], row.values["label"]) for row in rows] == [
        ("x", "a, b"),
        ("y", "c d"),
    ]
    assert [row.source for row in rows] == [f"{table}, line 2", f"{table}, line 4"]


def test_tabs_separate_where_commas_do_not(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", "id\tlabels\nx\ta,b\n")
    (row,) = read_table(table, ("id", "labels"), delimiter="\t")
    assert row.values["labels"] == "a,b"
    with pytest.raises(DataError, match=r"lacks the columns \['id', 'labels'\].*separated by ','"):
        read_table(table, ("id", "labels"))


def test_a_mark_at_the_start_is_no_part_of_a_name(tmp_path: Path) -> None:
    (row,) = read_table(written(tmp_path / "a.csv", "\ufeffid\nx\n"), ("id",))
    assert row.values["id"] == "x"
    assert read_names(written(tmp_path / "a.txt", "\ufeffdog\n")) == ("dog",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"lacks the columns \['id', 'label'\]"),
        ("id,name\nx,y\n", r"lacks the columns \['label'\]; its first line has \['id', 'name'\]"),
        ("id,label\n", "no rows below its header"),
        ("id,label\nx,a\ny,\n", "a.csv, line 3: the column 'label' is empty"),
        ("id,label\nx\n", "a.csv, line 2: the column 'label' is empty"),
        ('id,label\nx,"a\n', "not a readable table"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path / "a.csv", text), ("id", "label"))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"id\n\xff\xfe\n")
    for path in (tmp_path / "a", tmp_path / "missing", tmp_path):
        with pytest.raises(DataError, match="not a readable table"):
            read_table(path, ("id",))
        with pytest.raises(DataError, match="not a readable list"):
            read_names(path)


def test_names_stand_one_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "dog\r\nplaying violin, fiddle \n\n")
    assert read_names(path) == ("dog", "playing violin, fiddle")
    assert read_names(path, count=2) == read_names(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog\n\ncat\n", "a.txt, line 2: the line is empty"),
        ("", "a.txt, line 1: the line is empty"),
        ("dog\ncat\ndog\n", "a.txt, line 3: 'dog' occurs twice"),
        ("dog\ncat\n", "a.txt has 2 classes, expected 3"),
    ],
)
def test_malformed_names_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_names(written(tmp_path / "a.txt", text), count=3)


def test_a_class_is_known_by_its_name() -> None:
    assert class_index(("dog", "cat"), "cat", source="") == 1
    with pytest.raises(
        DataError, match=r"a\.csv, line 9: there is no class 'cow' in the list of 2"
    ):
        class_index(("dog", "cat"), "cow", source="a.csv, line 9")
