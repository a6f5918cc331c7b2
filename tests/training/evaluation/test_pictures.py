"""Figure 3: bars that are as high as the figures."""

from pathlib import Path

import pytest

from tests.training.evaluation.benchmark_maker import suite
from training.evaluation.pictures import FIGURE_3, bars, write_figure_3
from training.evaluation.tables import Cell, Table
from training.recipes import recipe


def test_a_bar_is_as_high_as_its_figure_and_its_error_stands_on_it() -> None:
    table = Table(
        "t", ("a b", "c"), (("x", (Cell(10, 2), Cell(30, None))), ("y", (None, Cell(5, 1))))
    )
    (axis,) = bars(table).axes
    first, second = (own for own in axis.containers if hasattr(own, "patches"))
    assert [bar.get_height() for bar in first] == [10, 30]
    assert [bar.get_height() for bar in second] == [5]
    middle = [bar.get_x() + bar.get_width() / 2 for bar in (*first, *second)]
    assert middle == pytest.approx([-0.2, 0.8, 1.2])
    (segment, _) = first.errorbar.lines[2][0].get_segments()
    assert segment[:, 1].tolist() == [8, 12]
    assert [own.get_text() for own in axis.get_xticklabels()] == ["a\nb", "c"]
    legend = axis.get_legend()
    assert legend is not None
    assert [own.get_text() for own in legend.get_texts()] == ["x", "y"]


def test_figure_3_waits_for_all_its_rows(tmp_path: Path) -> None:
    tasks = suite().across()
    figures = {f"proper/both/{task.name}/{task.metric}": 50.0 for task in tasks}
    runs = {row.recipe: [figures] for row in FIGURE_3}
    assert write_figure_3(runs | {"srcid_no_club2": []}, suite(), tmp_path) is None
    path = write_figure_3(runs, suite(), tmp_path)
    assert path == tmp_path / "figure3.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_rows_of_figure_3_are_recipes() -> None:
    for row in FIGURE_3:
        assert recipe(row.recipe).model.num_layers == 2
