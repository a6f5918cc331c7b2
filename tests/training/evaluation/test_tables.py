"""Means, errors and how they are shown."""

import csv
import io

import pytest

from training.evaluation.paper import DCID, TABLES, PaperRow
from training.evaluation.results import paper_table, probe_table, vocabulary_table
from training.evaluation.tables import Cell, Table, over_runs, render
from training.evaluation.tasks import PAPER, SCENES, Suite

TABLE = Table("t", ("a", "b"), (("x", (Cell(1.25, None), Cell(50, 2))), ("long", (None, None))))


def test_the_standard_error_is_that_of_the_mean() -> None:
    """Of 1, 2, 3, 6: mean 3, squared distances 4 + 1 + 0 + 9 over 3, divided by 4."""
    found = over_runs([1, 2, 3, 6])
    assert found is not None
    assert found.mean == 3
    assert found.error == pytest.approx((14 / 3 / 4) ** 0.5)
    assert over_runs([4]) == Cell(4, None)
    assert over_runs([]) is None


def test_text_is_aligned_and_markdown_and_csv_can_be_read() -> None:
    assert render(TABLE, "text").splitlines() == [
        "t",
        "        a           b",
        "x     1.2  50.0 ± 2.0",
        "long    -           -",
    ]
    assert "| x | 1.2 | 50.0 ± 2.0 |" in render(TABLE, "markdown").splitlines()
    rows = list(csv.DictReader(io.StringIO(render(TABLE, "csv"))))
    assert [(row["row"], row["column"], row["mean"], row["standard error"]) for row in rows] == [
        ("x", "a", "1.25", ""),
        ("x", "b", "50", "2"),
    ]


def test_a_row_is_its_recipes_runs_and_its_mean_is_over_whole_runs() -> None:
    row = PaperRow("mine", "dcid", "1", (), 0.0)
    names = [f"proper/1/{task.name}/{task.metric}" for task in SCENES.across()]
    first = {name: float(n) for n, name in enumerate(names)}
    second = {name: float(n) + 2 for n, name in enumerate(names)}
    half = {names[0]: 4.0}
    table = probe_table([row], {"dcid": [first, second, half]}, SCENES, protocol="proper")
    ((title, cells),) = table.rows
    assert title == "mine"
    assert cells[0] == Cell(2, pytest.approx((8 / 2 / 3) ** 0.5))
    assert cells[1] == Cell(2, 1)
    assert cells[-1] == Cell(4.5, 1)  # of 3.5 and 5.5; the third run is not whole


def test_on_the_papers_data_each_row_has_the_papers_below_it() -> None:
    table = probe_table([DCID], {}, PAPER, protocol="published", within=True)
    assert [name for name, _ in table.rows] == ["DCID (VQ)", "DCID (VQ), paper"]
    printed = [cell.mean for cell in table.rows[1][1] if cell]
    assert printed == [*DCID.within, DCID.within_mean]
    assert set(table.rows[0][1]) == {None}


def test_the_papers_own_table_lacks_the_rows_that_it_lacks() -> None:
    assert len(paper_table(TABLES[1]).rows) == len(TABLES[1])
    assert [name for name, _ in paper_table(TABLES[1], within=True).rows] == [
        "DCID (VQ)",
        "DCID (FSQ)",
        "DCID (RVQ-4)",
    ]


def test_the_vocabulary_has_a_row_a_layer_and_two_digits() -> None:
    figures = {"vocabulary/1/codes_used": 12.0, "vocabulary/1/overlap/audio ~ text": 0.25}
    runs = {"dcid": [figures], "srcid": [figures | {"vocabulary/2/codes_used": 3.0}]}
    table = vocabulary_table(runs)
    assert table.columns == ("codes used", "overlap audio ~ text")
    assert [name for name, _ in table.rows] == ["dcid, layer 1", "srcid, layer 1", "srcid, layer 2"]
    assert "0.25" in render(table, "text")


def test_where_columns_are_absent_the_papers_mean_is_that_of_the_others() -> None:
    """AVE alone: 54.1 and 55.0."""
    ave = Suite("paper", tuple(task for task in PAPER.tasks if task.family == "AVE"), ())
    table = probe_table([DCID], {}, ave, protocol="proper")
    printed = [cell.mean for cell in table.rows[1][1] if cell]
    assert printed == [54.1, 55.0, pytest.approx(54.55)]
